"""What a mirror has to offer: files by name, and ranges of their bytes."""

import asyncio
import stat
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO, Protocol

from protocol.errors import MalformedError, UnavailableError

PIECE_BYTES = 256 * 1024
"""The most that is read at once."""


class Files(Protocol):
    """Files somewhere. Errors are those of ``protocol.errors``; no call hangs."""

    async def size(self, name: str) -> int:
        """Bytes of a file. Raises :class:`UnavailableError` if it is not there."""
        ...

    def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Exactly these bytes of a file, in pieces; an error if they are not there."""
        ...

    async def close(self) -> None:
        """End what is in progress. Closing twice is allowed."""
        ...


class LocalFiles:
    """Files in a folder of this machine, a network share or a disk that somebody brought."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def size(self, name: str) -> int:
        """See :class:`Files`."""
        return await asyncio.to_thread(self._size, name)

    async def read(self, name: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """See :class:`Files`."""
        await self.size(name)
        file = await asyncio.to_thread(self._open, name, start)
        with file:
            while length:
                data = await asyncio.to_thread(self._read, name, file, min(length, PIECE_BYTES))
                length -= len(data)
                yield data

    async def close(self) -> None:
        """See :class:`Files`."""

    def _size(self, name: str) -> int:
        try:
            found = (self._folder / name).stat()
        except OSError as error:
            raise UnavailableError(f"{self._folder} has no {name}: {error.strerror}") from None
        if not stat.S_ISREG(found.st_mode):
            raise UnavailableError(f"{self._folder / name} is not a plain file")
        return found.st_size

    def _open(self, name: str, start: int) -> BinaryIO:
        try:
            file = (self._folder / name).open("rb")
        except OSError as error:
            raise UnavailableError(f"{self._folder / name} cannot be read: {error.strerror}") from None
        file.seek(start)
        return file

    def _read(self, name: str, file: BinaryIO, length: int) -> bytes:
        try:
            data = file.read(length)
        except OSError as error:
            raise UnavailableError(f"{self._folder / name} cannot be read: {error.strerror}") from None
        if not data:
            raise MalformedError(f"{self._folder / name} ends before what should be in it")
        return data
