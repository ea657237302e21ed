"""Many questions asked at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType


class AtOnce(ThreadPoolExecutor):
    """One thread for each question: a dead host delays its own answer only.

    Leaving the block waits for all answers, and for none where the block is broken off: after Ctrl-C or SIGTERM nobody
    wants to wait for a dead host.
    """

    def __init__(self, questions: int) -> None:
        """Prepare for so many questions; for none at all as well."""
        super().__init__(max_workers=max(1, questions))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        broken_off = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=not broken_off, cancel_futures=broken_off)
