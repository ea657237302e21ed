"""Where reading of each partition resumes: a row of ``log_source`` for each partition of each topic of each cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from obsctl.kafka.partition import TopicPartition
from obsctl.store.interface import Origin, Position, StoreUnavailableError
from obsctl.store.mysql.rows import text
from obsctl.store.mysql.session import Session


class _Source(NamedTuple):
    """A partition and its topic's id: the key of a position within a cluster. The id may be '', if not known yet."""

    part: TopicPartition
    topic_id: str

    def nameless(self) -> _Source:
        """Return the key of the same source from before topic ids were stored."""
        return self._replace(topic_id="")


def positions(
    session: Session, cluster_id: str, topic_ids: Mapping[TopicPartition, str]
) -> dict[TopicPartition, Position]:
    """Return the positions; a source from before topic ids were stored is given the present id."""
    wanted = sorted(_Source(part, topic_id) for part, topic_id in topic_ids.items())
    sources = _read_sources(session, cluster_id)
    missing = [source for source in wanted if source not in sources]
    if missing:
        nameless = [source for source in missing if _is_nameless(source, sources)]
        _name(session, nameless, sources)
        _add(session, cluster_id, [source for source in missing if source not in nameless])
        sources = _read_sources(session, cluster_id)
        if any(source not in sources for source in wanted):
            raise StoreUnavailableError("another consumer has named the same source meanwhile")
    elsewhere = _topics_elsewhere(session, cluster_id, [s for s in wanted if not sources[s].next_offset])
    return {source.part: sources[source]._replace(origin=_origin(source, sources, elsewhere)) for source in wanted}


def position(session: Session, cluster_id: str, part: TopicPartition, topic_id: str) -> Position | None:
    """Return where reading of a partition resumes; None for one that the store has never seen."""
    rows = session.read(
        "SELECT source_id,next_offset FROM log_source"
        f" WHERE cluster_id='{text(cluster_id)}' AND topic='{text(part.topic)}'"
        f" AND partition_id={part.partition} AND topic_id='{text(topic_id)}'"
    )
    return Position(int(rows[0][0]), int(rows[0][1])) if rows else None


def move(session: Session, source_id: int, to: int, *, at_least: int) -> int | None:
    """Move a source's next offset to ``to``, unless it is below ``at_least``; return the previous one, or None."""
    # A consumer's transaction begins with the same lock, so the position cannot change in between.
    ((current,),) = session.select(f"SELECT next_offset FROM log_source WHERE source_id={source_id} FOR UPDATE")
    if int(current) < at_least:
        session.rollback()
        return None
    session.run(
        f"UPDATE log_source SET next_offset={to} WHERE source_id={source_id} AND next_offset={current}", commit=True
    )
    return int(current)


def _read_sources(session: Session, cluster_id: str) -> dict[_Source, Position]:
    rows = session.read(
        "SELECT topic,partition_id,topic_id,source_id,next_offset,"
        "TIMESTAMPDIFF(SECOND,'1970-01-01',created_at) FROM log_source"
        f" WHERE cluster_id='{text(cluster_id)}'"
    )
    return {
        _Source(TopicPartition(topic, part), topic_id): Position(source, offset, known_at=float(known_at))
        for topic, part, topic_id, source, offset, known_at in rows
    }


def _name(session: Session, nameless: Sequence[_Source], sources: Mapping[_Source, Position]) -> None:
    """Store the topic's id for sources that have none."""
    for source in nameless:
        session.run(
            f"UPDATE log_source SET topic_id='{text(source.topic_id)}'"
            f" WHERE source_id={sources[source.nameless()].source_id} AND topic_id=''",
            commit=True,
        )


def _add(session: Session, cluster_id: str, new: Sequence[_Source]) -> None:
    if new:
        values = ",".join(
            f"('{text(cluster_id)}','{text(s.part.topic)}',{s.part.partition},'{text(s.topic_id)}')" for s in new
        )
        session.run(
            f"INSERT INTO log_source (cluster_id,topic,partition_id,topic_id) VALUES {values}"
            " ON DUPLICATE KEY UPDATE source_id=log_source.source_id",
            commit=True,
        )


def _topics_elsewhere(session: Session, cluster_id: str, unread: Sequence[_Source]) -> set[str]:
    """Return the topics that another cluster has as well."""
    if not unread:
        return set()
    names = ",".join(sorted({f"'{text(source.part.topic)}'" for source in unread}))
    rows = session.read(
        f"SELECT DISTINCT topic FROM log_source WHERE topic IN ({names}) AND cluster_id<>'{text(cluster_id)}'"
    )
    return {topic for (topic,) in rows}


def _is_nameless(source: _Source, sources: Collection[_Source]) -> bool:
    """Whether a source is stored without its topic's id, from before ids were stored.

    Not if the topic has had another id meanwhile, because the row may belong to that one. A new source begins at 0,
    and reading again is always safe.
    """
    topic_ids = {other.topic_id for other in sources if other.part.topic == source.part.topic}
    return source.nameless() in sources and topic_ids <= {"", source.topic_id}


def _origin(source: _Source, sources: Mapping[_Source, Position], elsewhere: Collection[str]) -> Origin:
    """Return what was known about a source's partition before its first line was read."""
    if sources[source].next_offset:
        return Origin.READ
    topic_ids = {other.topic_id for other in sources if other.part == source.part}
    if topic_ids != {source.topic_id}:
        return Origin.REMADE
    # A partition that was added to a topic needs no report.
    read = any(p.next_offset for s, p in sources.items() if s.part.topic == source.part.topic)
    return Origin.OTHER_CLUSTER if source.part.topic in elsewhere and not read else Origin.NEW
