"""The store on MySQL and MariaDB: what :class:`obsctl.store.interface.Store` promises, over one session."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping

from obsctl.kafka.partition import TopicPartition
from obsctl.store.batch import Batch
from obsctl.store.interface import DeadLetter, Outcome, Position, Upkeep
from obsctl.store.mysql import dead_letters
from obsctl.store.mysql.commit import Committer
from obsctl.store.mysql.positions import positions
from obsctl.store.mysql.session import Session
from obsctl.store.mysql.upkeep import TableUpkeep
from obsctl.store.settings import Database


def utc_day() -> datetime.date:
    """Return the UTC day by this host's clock."""
    return datetime.datetime.now(datetime.UTC).date()


class MySQLStore:
    """See :class:`obsctl.store.interface.Store`.

    Args:
        database: how to reach it.
        retention_days: how many whole UTC days are kept.
        today: the UTC day by this host's clock, for the upkeep.
    """

    def __init__(self, database: Database, retention_days: int, today: Callable[[], datetime.date] = utc_day) -> None:
        self.session = Session(database)
        self._committer = Committer(self.session)
        self._upkeep = TableUpkeep(self.session, retention_days, today)

    def positions(self, cluster_id: str, topic_ids: Mapping[TopicPartition, str]) -> dict[TopicPartition, Position]:
        """Return where reading of each partition resumes, and store new partitions."""
        return self.session.guard(lambda: positions(self.session, cluster_id, topic_ids))

    def commit(self, batch: Batch) -> Outcome:
        """Store the batch in one transaction."""
        return self._committer.commit(batch)

    def dead_letters(self, limit: int) -> list[DeadLetter]:
        """Return refused records whose copy has not been sent."""
        return self.session.guard(lambda: dead_letters.due(self.session, limit))

    def settle_dead_letters(self, letters: Collection[DeadLetter]) -> None:
        """Record that the copies were accepted."""
        if letters:
            self.session.guard(lambda: dead_letters.settle(self.session, letters))

    def upkeep(self) -> Upkeep:
        """Bring the day partitions up to date."""
        return self.session.guard(self._upkeep.run)

    def close(self) -> None:
        """Close the connection."""
        self.session.close()
