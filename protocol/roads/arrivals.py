"""Bytes from a stream, with a limit on silence but none on slowness: one timer for a whole stream."""

import asyncio

READ_BYTES = 64 * 1024
"""Taken at once; every arrival counts as a sign of life."""


class Arrivals:
    """Reads from a stream. After ``silence`` seconds in which nothing comes, reading ends with ``TimeoutError``."""

    def __init__(self, reader: asyncio.StreamReader, silence: float) -> None:
        self._reader = reader
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._timer = self._loop.call_later(silence, self._look)

    async def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises ``EOFError`` if the stream ends before them."""
        parts = []
        while size:
            self._waiting_since = self._loop.time()
            data = await self._reader.read(min(size, READ_BYTES))
            if not data:
                raise EOFError
            parts.append(data)
            size -= len(data)
        self._waiting_since = None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _look(self) -> None:
        waited = 0.0 if self._waiting_since is None else self._loop.time() - self._waiting_since
        if waited >= self._silence:
            self._reader.set_exception(TimeoutError())
        else:
            self._timer = self._loop.call_later(self._silence - waited, self._look)
