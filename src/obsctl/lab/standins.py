"""Stand-ins for the outside world: a robot that answers like DingTalk, a webhook, a mail server.

One background process beside the lab, ``python -m obsctl.lab.standins STATE_DIR ADDRESS HTTP_PORT SMTP_PORT``.

HTTP:

- ``POST /robot/send?access_token=…&timestamp=…&sign=…``: the robot. Like the vendor's it answers HTTP 200 with
  ``{"errcode", "errmsg"}``, also to what it refuses.
- ``PUT /behaviour {"name": …}``: what the robot does from now on, one of ``ROBOT_BEHAVIOURS``.
- ``POST /hook``: a plain webhook, answers ``{"ok": true}``.
- ``PUT /smtp/behaviour {"name": …}``: what the mail server does, one of ``SMTP_BEHAVIOURS``.
- ``GET /received``, ``DELETE /received``: a list of everything that arrived on any channel, the oldest first.

Tokens and passwords are never kept: an entry says whether they were right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_SUCCESS = {"errcode": 0, "errmsg": "ok"}
#: The vendor's words for the codes that matter to a client.
_REFUSALS = {
    "310000": {"errcode": 310000, "errmsg": "sign not match"},
    "130101": {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"},
    "300005": {"errcode": 300005, "errmsg": "token is not exist"},
}
_NOT_JSON = {"errcode": 43004, "errmsg": "无效的HTTP HEADER Content-Type"}
ROBOT_BEHAVIOURS = ("success", *_REFUSALS, "slow", "reset", "redirect")
SMTP_BEHAVIOURS = ("accept", "451", "550")
_SLOW_S = 30.0
#: The vendor refuses a signature that is older than an hour.
_SIGNATURE_AGE_MS = 3_600_000
_MAX_BODY_BYTES = 1 << 20


class Received:
    """What arrived, the behaviours, and the lab's secrets to compare with; shared by all threads."""

    def __init__(self, secrets_dir: Path) -> None:
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = []
        self._secrets_dir = secrets_dir
        self.robot = "success"
        self.smtp = "accept"

    def add(self, channel: str, **what: Any) -> dict[str, Any]:
        """Keep one arrival and return its entry, to which the answer may be added."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"channel": channel, "at": at, **what}
        with self._lock:
            self._entries.append(entry)
        return entry

    def all(self) -> list[dict[str, Any]]:
        """Return the arrivals, the oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget the arrivals; the behaviours stay."""
        with self._lock:
            self._entries.clear()

    def judge(self, secret: str, given: str) -> str:
        """Compare with the lab's secret: ``missing``, ``valid``, ``invalid``, or ``unknown`` without that secret."""
        if not given:
            return "missing"
        wanted = self.secret(secret)
        return "unknown" if wanted is None else "valid" if hmac.compare_digest(wanted, given) else "invalid"

    def secret(self, name: str) -> str | None:
        """Return the lab's secret of that name, or None."""
        try:
            return (self._secrets_dir / name).read_text().strip()
        except OSError:
            return None


def judge_signature(secret: str | None, timestamp: str, sign: str, now_ms: int) -> str:
    """Judge a DingTalk signature: base64 of HMAC-SHA256 over ``{timestamp}\\n{secret}`` with the secret as key.

    Returns:
        ``missing``, ``valid``, ``expired``, ``invalid``, or ``unknown`` without a secret.
    """
    if not sign or not timestamp:
        return "missing"
    if secret is None:
        return "unknown"
    digest = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(digest), sign.encode()):
        return "invalid"
    return "valid" if timestamp.isdigit() and abs(now_ms - int(timestamp)) < _SIGNATURE_AGE_MS else "expired"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received: Received

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/received":
            self._answer(self.received.all())
        elif path == "/behaviour":
            self._answer({"name": self.received.robot})
        elif path == "/smtp/behaviour":
            self._answer({"name": self.received.smtp})
        elif path == "/redirected":
            self._redirected()
        else:
            self._answer({"error": "no such path"}, 404)

    def do_DELETE(self) -> None:
        if urlsplit(self.path).path == "/received":
            self.received.clear()
            self._answer({"ok": True})
        else:
            self._answer({"error": "no such path"}, 404)

    def do_PUT(self) -> None:
        body = self._body()
        choices = {"/behaviour": ROBOT_BEHAVIOURS, "/smtp/behaviour": SMTP_BEHAVIOURS}
        path = urlsplit(self.path).path
        if path not in choices:
            self._answer({"error": "no such path"}, 404)
            return
        name = str(body.get("name", "")) if isinstance(body, dict) else ""
        if name not in choices[path]:
            self._answer({"error": f"name must be one of {', '.join(choices[path])}"}, 400)
            return
        if path == "/behaviour":
            self.received.robot = name
        else:
            self.received.smtp = name
        self._answer({"name": name})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        if path == "/robot/send":
            self._robot()
        elif path == "/hook":
            self._hook()
        elif path == "/redirected":
            self._redirected()
        else:
            self._body()
            self._answer({"error": "no such path"}, 404)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write nothing: request lines hold tokens."""

    def _robot(self) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        now_ms = time.time_ns() // 1_000_000
        token = self.received.judge("dingtalk_token", query.get("access_token", ""))
        secret = self.received.secret("dingtalk_secret")
        signature = judge_signature(secret, query.get("timestamp", ""), query.get("sign", ""), now_ms)
        content_type = self.headers.get("Content-Type", "")
        behaviour = self.received.robot
        entry = self.received.add(
            "dingtalk",
            path="/robot/send",
            behaviour=behaviour,
            token=token,
            signature=signature,
            timestamp=query.get("timestamp"),
            content_type=content_type,
            body=self._body(),
        )
        if behaviour == "reset":
            self._reset()
        elif behaviour == "redirect":
            self._answer({}, 302, {"Location": "/redirected"})
        elif behaviour in _REFUSALS:
            entry["answer"] = _REFUSALS[behaviour]
            self._answer(_REFUSALS[behaviour])
        else:
            if behaviour == "slow":
                time.sleep(_SLOW_S)
            # As the vendor's robot: the header first, then what a signature shows to be wrong. A message without a
            # signature passes, as it does with a robot whose security setting is a keyword or an address.
            if content_type.split(";")[0].strip().lower() != "application/json":
                answer = _NOT_JSON
            elif token == "valid" and signature in ("invalid", "expired"):  # noqa: S105 - a verdict
                answer = _REFUSALS["310000"]
            else:
                answer = _SUCCESS
            entry["answer"] = answer
            self._answer(answer)

    def _hook(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.received.add(
            "webhook",
            path="/hook",
            token=self.received.judge("webhook_token", given),
            content_type=self.headers.get("Content-Type", ""),
            body=self._body(),
        )
        self._answer({"ok": True})

    def _redirected(self) -> None:
        """Record that a client went where it was sent, which none of ours may: the address holds a token."""
        self.received.add("redirect-followed", path="/redirected", method=self.command, body=self._body())
        self._answer(_SUCCESS)

    def _body(self) -> Any:
        """Return the request's body: parsed where it is JSON, as text where it is not, None where there is none."""
        try:
            length = min(int(self.headers.get("Content-Length", 0)), _MAX_BODY_BYTES)
        except ValueError:
            length = 0
        raw = self.rfile.read(length) if length else b""
        if not raw:
            return None
        try:
            return json.loads(raw)
        except ValueError:
            return raw.decode(errors="replace")

    def _answer(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        raw = json.dumps(body, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _reset(self) -> None:
        # Lingering for zero seconds turns the close into a reset. The descriptor is closed directly, since the
        # server would say a polite goodbye first.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Say nothing of clients that left: with ``slow`` and ``reset`` that is the purpose."""


def _mail_server(received: Received, address: str, port: int) -> Any:
    from email import message_from_bytes, policy

    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    class Mailbox:
        async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
            self, _server: Any, _session: Any, envelope: Any, to: str, _options: Any
        ) -> str:
            if received.smtp == "550":
                return "550 5.1.1 mailbox unavailable"
            envelope.rcpt_tos.append(to)
            return "250 OK"

        async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
            mail = message_from_bytes(envelope.content, policy=policy.default)
            text = mail.get_body(preferencelist=("plain", "html"))
            answer = "451 4.3.0 try again later" if received.smtp == "451" else "250 OK"
            received.add(
                "smtp",
                sender=envelope.mail_from,
                recipients=list(envelope.rcpt_tos),
                subject=str(mail.get("Subject", "")),
                body=text.get_content().replace("\r\n", "\n") if text is not None else "",
                authenticated=bool(session.authenticated),
                answer=answer,
            )
            return answer

    def let_in(*_: Any) -> Any:
        return AuthResult(success=True)

    return Controller(Mailbox(), hostname=address, port=port, authenticator=let_in, auth_require_tls=False)


def main(argv: list[str]) -> None:
    """Serve until SIGTERM."""
    state_dir, address, http_port, smtp_port = argv
    received = Received(Path(state_dir) / "secrets")
    handler = type("Handler", (_Handler,), {"received": received})
    server = _Server((address, int(http_port)), handler)
    mail = _mail_server(received, address, int(smtp_port))
    mail.start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        mail.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
