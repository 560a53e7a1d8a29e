"""Work on several threads, with answers in the order of the questions and a bounded number of them in memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")

WAITING_PER_THREAD = 2
"""Answers that a thread may have ready before the first of them is taken."""


def in_order(work: Callable[[Job], Answer], jobs: Iterable[Job], threads: int) -> Generator[Answer, None, None]:
    """``work`` of every job, in order; the first error ends it and waits for what had begun."""
    waiting: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="delta") as pool:
        try:
            for job in jobs:
                if len(waiting) == WAITING_PER_THREAD * threads:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(work, job))
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
