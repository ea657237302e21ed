"""Runs many queries at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType


class AtOnce(ThreadPoolExecutor):
    """One thread for each query: a dead host delays only its own answer.

    At its end the block waits for all answers, unless Ctrl-C or SIGTERM ends it: nobody wants to wait for a dead host
    then.
    """

    def __init__(self, questions: int) -> None:
        """Prepare for a number of queries, which may be 0."""
        super().__init__(max_workers=max(1, questions))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        broken_off = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=not broken_off, cancel_futures=broken_off)
