"""What the daemon has to say: into a file, and to whoever listens."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from node.control.views import LogLine

MAX_FILE_BYTES = 8 * 2**20
FILES = 3
MAX_LINES = 2000
"""That are kept in memory for `umm log`."""

MAX_TEXT = 4000
"""Characters of one message; the file has all of it."""


class Diary(logging.Handler):
    """A handler of the root logger; to be closed."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[LogLine] = deque(maxlen=MAX_LINES)
        self._readers: set[asyncio.Queue[LogLine]] = set()
        self._loop = asyncio.get_running_loop()

    @classmethod
    def begin(cls, path: Path) -> "Diary":
        """Keep what is logged from now on, here and in a file."""
        diary = cls()
        file = RotatingFileHandler(path, maxBytes=MAX_FILE_BYTES, backupCount=FILES, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.setLevel(logging.INFO)
        root.addHandler(file)
        root.addHandler(diary)
        diary._file = file
        return diary

    _file: logging.Handler | None = None

    def close(self) -> None:
        """Listen no more."""
        root = logging.getLogger()
        root.removeHandler(self)
        if self._file is not None:
            root.removeHandler(self._file)
            self._file.close()
        super().close()

    def last(self, count: int) -> list[LogLine]:
        """The newest lines, the oldest of them first."""
        return list(self._lines)[-count:] if count else []

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[asyncio.Queue[LogLine]]:
        """What is logged from now on; who does not keep up misses lines."""
        queue: asyncio.Queue[LogLine] = asyncio.Queue(maxsize=MAX_LINES)
        self._readers.add(queue)
        try:
            yield queue
        finally:
            self._readers.discard(queue)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging, from any thread."""
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        line = LogLine(at=record.created, level=level, source=record.name, text=record.getMessage()[:MAX_TEXT])
        self._lines.append(line)
        if self._readers and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hand_out, line)

    def _hand_out(self, line: LogLine) -> None:
        for queue in self._readers:
            if not queue.full():
                queue.put_nowait(line)
