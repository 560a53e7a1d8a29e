"""The weight file of a delta in the making: packed tensors are appended as they come, heads and header filled in last.

How long a packed tensor is shows only when it is packed. So that nothing has to be written twice, the header's place is
kept free for the longest header that these tensors can have; what it does not need stays filled with spaces, as the
format allows.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from umm.checkpoint.disk import blaming_the_machine, write_exactly
from umm.checkpoint.header import METADATA, PREFIX_BYTES, parse_header
from umm.checkpoint.layout import ALIGNMENT_BYTES
from umm.checkpoint.reader import StoredTensor
from umm.delta.head import Head, head_bytes
from umm.delta.values import elements

Span = tuple[int, int]
"""First byte and the one behind the last, counted from the end of the header."""


class DeltaFile:
    """The weight file at ``path``, for changes of some of ``tensors``. One tensor at a time; not thread-safe."""

    def __init__(self, path: Path, tensors: Collection[StoredTensor]) -> None:
        self._path = path
        longest = sum(tensor.size + head_bytes(tensor.dtype, elements(tensor)) for tensor in tensors)
        self._reserved = PREFIX_BYTES + len(_text({tensor.name: (longest, 2 * longest) for tensor in tensors}))
        self._size = self._reserved
        self._spans: dict[str, Span] = {}
        self._sizes: list[list[int]] = []
        with blaming_the_machine("create", path):
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    @property
    def size(self) -> int:
        """Length so far, in bytes."""
        return self._size

    def begin(self, tensor: StoredTensor) -> None:
        """Start a tensor; its blocks follow in order."""
        self._tensor, self._sizes = tensor, []
        self._start = self._size
        self._size += head_bytes(tensor.dtype, elements(tensor))

    def append(self, frames: Sequence[bytes]) -> None:
        """The frames of the next block, lowest plane first."""
        for frame in frames:
            write_exactly(self._fd, memoryview(frame), self._size, self._path)
            self._size += len(frame)
        self._sizes.append([len(frame) for frame in frames])

    def finish(self) -> bool:
        """End the tensor: its head, if anything in it changed, or else as if it had not begun."""
        sizes = np.array(self._sizes, np.int64)
        if not sizes.any():
            self._size = self._start
            return False
        head = Head(self._tensor.dtype, elements(self._tensor), sizes)
        write_exactly(self._fd, memoryview(head.encode()), self._start, self._path)
        self._spans[self._tensor.name] = (self._start - self._reserved, self._size - self._reserved)
        return True

    def commit(self) -> None:
        """The header; the file is on the disk when this returns."""
        text = _text(self._spans).ljust(self._reserved - PREFIX_BYTES)
        head = len(text).to_bytes(PREFIX_BYTES, "little") + text
        parse_header(head, self._size, str(self._path))  # what we write, we would accept
        write_exactly(self._fd, memoryview(head), 0, self._path)
        with blaming_the_machine("write", self._path):
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)

    def __enter__(self) -> "DeltaFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


def _text(spans: Mapping[str, Span]) -> bytes:
    """A header without its prefix, filled up with spaces to a multiple of the alignment."""
    header: dict[str, object] = {METADATA: {"format": "pt"}}
    header |= {
        name: {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for name, (begin, end) in spans.items()
    }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-(PREFIX_BYTES + len(text)) % ALIGNMENT_BYTES)
