"""Login with name and password, with growing delays after failures.

Failures are counted for a name from one address, for the address, and for the name. They are counted in the database,
so all consoles share them. The limits for an address alone and for a name alone are higher, because many people may
share an address, and because somebody who guesses passwords must not lock out a name's owner at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from obsctl.console.database import Pool
from obsctl.console.people import audit, passwords, sessions, users
from obsctl.console.people.audit import Actor
from obsctl.console.people.sessions import Lifetime
from obsctl.console.people.users import User

#: How many failures have no delay; each further one doubles the delay until the next attempt.
_BOUNDS = {"pair": 5, "addr": 30, "name": 100, "token": 30, "oidc": 30}
_FIRST_WAIT_S, _LONGEST_WAIT_S = 30, 3600
#: After this time without a failure the count restarts, seconds.
_FORGOTTEN_S = 24 * 3600
_WIDTH = 128


class LoginError(Exception):
    """A login failed.

    Attributes:
        wait_s: seconds until the next attempt; 0 if it may be made at once.
    """

    def __init__(self, message: str, wait_s: int = 0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Attempt(NamedTuple):
    """The data of a login attempt."""

    name: str
    password: str
    client_addr: str
    user_agent: str


def log_in(pool: Pool, attempt: Attempt, lifetime: Lifetime) -> str:
    """Return the token of a new session.

    Args:
        pool: of connections.
        attempt: the data of the login.
        lifetime: of the session.

    Raises:
        LoginError: name or password is wrong, or there were too many failures; the message does not say which.
        BusyError: too many logins at once.
        DatabaseAwayError: the database does not answer.
    """
    user = confirmed(pool, attempt)
    return pool.run(lambda cursor: sessions.begin(cursor, user.id, attempt.client_addr, attempt.user_agent, lifetime))


def enter(pool: Pool, name: str, client_addr: str, user_agent: str, lifetime: Lifetime) -> str | None:
    """Return the token of a new session of a user whom a trusted proxy names; None if there is no such user.

    Raises:
        DatabaseAwayError: the database does not answer.
    """

    def begin(cursor: Any) -> str | None:
        user = users.find(cursor, name)
        if user is None or user.disabled:
            return None
        return sessions.begin(cursor, user.id, client_addr, user_agent, lifetime)

    return pool.run(begin)


def confirmed(pool: Pool, attempt: Attempt) -> User:
    """Return the user if name and password are right; failures are counted.

    Raises:
        LoginError: as :func:`log_in`.
        BusyError: too many logins at once.
        DatabaseAwayError: the database does not answer.
    """
    name = attempt.name.strip().lower()[:64]
    counted = _counted(name, attempt.client_addr)
    wait_s, user = pool.run(lambda cursor: (_wait_s(cursor, counted), users.find(cursor, name)))
    if wait_s > 0:
        raise LoginError("too many failed logins", wait_s)
    right = passwords.fits(user.password_hash if user else None, attempt.password)
    if not right or user is None or user.disabled:
        pool.run(lambda cursor: _failed(cursor, counted))
        raise LoginError("name or password is wrong")
    pool.run(lambda cursor: cursor.execute("DELETE FROM console_login_failure WHERE counted = %s", (counted[0],)))
    return user


def unlock(cursor: Any, actor: Actor, user: User) -> bool:
    """Forget the failed logins with a user's name, from any address; return whether there were any."""
    forgotten: int = cursor.execute(
        "DELETE FROM console_login_failure"
        " WHERE counted = %s OR (counted LIKE 'pair %%' AND SUBSTRING_INDEX(counted, ' ', -1) = %s)",
        (f"name {user.name}", user.name),
    )
    if forgotten:
        audit.write(cursor, actor, "user.unlock", user.name)
    return forgotten > 0


def refused_token(pool: Pool, client_addr: str) -> int:
    """Count an invalid token, and return for how many seconds its address must wait; 0 for not at all.

    Only requests with an invalid token wait: nobody can guess 32 random bytes, and a program with an old token must
    not lock out others that share its address.
    """
    counted = (f"token {client_addr}"[:_WIDTH],)

    def count(cursor: Any) -> int:
        wait_s = max(0, _wait_s(cursor, counted))
        if not wait_s:
            _failed(cursor, counted)
        return wait_s

    return pool.run(count)


def provider_wait_s(cursor: Any, client_addr: str) -> int:
    """Return how many seconds an address must wait before another login through the provider; 0 for none."""
    return max(0, _wait_s(cursor, _at_provider(client_addr)))


def refused_by_provider(cursor: Any, client_addr: str) -> None:
    """Count a login that the provider did not confirm, or of a person who may not use the console.

    It is counted separately from wrong passwords, so that somebody who fails at the provider can still log in with a
    password.
    """
    _failed(cursor, _at_provider(client_addr))


def _at_provider(client_addr: str) -> tuple[str]:
    return (f"oidc {client_addr}"[:_WIDTH],)


def _counted(name: str, client_addr: str) -> tuple[str, str, str]:
    safe = name.encode("ascii", "backslashreplace").decode()
    return f"pair {client_addr} {safe}"[:_WIDTH], f"addr {client_addr}"[:_WIDTH], f"name {safe}"[:_WIDTH]


def _wait_s(cursor: Any, counted: tuple[str, ...]) -> int:
    cursor.execute(
        "SELECT counted, failures, TIMESTAMPDIFF(SECOND, last_at, UTC_TIMESTAMP(3)) FROM console_login_failure"
        " WHERE counted IN %s",
        (counted,),
    )
    return max((_bound(kind, failures) - since_s for kind, failures, since_s in cursor.fetchall()), default=0)


def _bound(counted: str, failures: int) -> int:
    """Return how long after the last failure the next attempt is allowed, seconds."""
    beyond = failures - _BOUNDS[counted.partition(" ")[0]]
    return 0 if beyond < 0 else min(_LONGEST_WAIT_S, _FIRST_WAIT_S << min(beyond, 10))


def _failed(cursor: Any, counted: tuple[str, ...]) -> None:
    for one in counted:
        cursor.execute(
            "INSERT INTO console_login_failure (counted, failures, last_at) VALUES (%s, 1, UTC_TIMESTAMP(3))"
            " ON DUPLICATE KEY UPDATE"
            " failures = IF(last_at < UTC_TIMESTAMP(3) - INTERVAL %s SECOND, 1, failures + 1),"
            " last_at = VALUES(last_at)",
            (one, _FORGOTTEN_S),
        )
    # Expired counts are deleted when new failures come, so that guessed names do not fill the table.
    cursor.execute(
        "DELETE FROM console_login_failure WHERE last_at < UTC_TIMESTAMP(3) - INTERVAL %s SECOND LIMIT 100",
        (_FORGOTTEN_S,),
    )
