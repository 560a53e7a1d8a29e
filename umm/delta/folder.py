"""An open delta: packed tensors that belong to a base, and the files beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType

import numpy as np

from umm.checkpoint.folder import Folder, listed
from umm.checkpoint.reader import Checkpoint, StoredTensor, Weights
from umm.checkpoint.strict import shown
from umm.delta import bits
from umm.delta.bits import Bits
from umm.delta.files import present
from umm.delta.frames import unpack
from umm.delta.head import Head, Sizes, block_elements, head_bytes
from umm.delta.values import elements
from umm.errors import CheckpointError, MismatchError

DELTA = "delta"
"""How the weight files of a delta are called, without the ending."""


@dataclass(frozen=True)
class PackedTensor:
    """One changed tensor, unpacked block by block; thread-safe, holds no values itself."""

    name: str
    where: str
    head: Head
    _weights: Weights
    _starts: Sizes

    def change(self, block: int) -> Bits | None:
        """What a block's values change by, see ``bits``; None if none of them changes."""
        sizes = self.head.sizes[block]
        count = block_elements(self.head.elements, block)
        if not sizes.any():
            return None
        packed = bytearray(int(sizes.sum()))
        self._weights.read(self.name, int(self._starts[block]), memoryview(packed))
        rows, at = [], 0
        for plane, size in enumerate(map(int, sizes)):
            where = f"{self.where}: plane {plane} of block {block}"
            rows.append(unpack(packed[at : at + size], count, where))
            at += size
        return bits.joined(rows, count)


@dataclass(frozen=True)
class DeltaFolder:
    """An open delta. ``tensors`` is sorted by name. Close it, or use it in a ``with`` statement."""

    folder: Folder
    files: tuple[str, ...]
    tensors: Mapping[str, StoredTensor]
    _weights: Weights
    _base: Checkpoint

    @classmethod
    def open(cls, path: Path, base: Checkpoint) -> "DeltaFolder":
        """Check everything that headers and the base's headers can tell; no frame is looked at."""
        here = Folder.of(path)
        files = present(here)
        weights = Weights.called(DELTA, here)
        try:
            _check_tensors(weights, base)
        except BaseException:
            weights.close()
            raise
        return cls(here, files, MappingProxyType(dict(weights.tensors)), weights, base)

    def packed(self, name: str) -> PackedTensor:
        """A changed tensor, its head checked against the base's tensor; read before any frame."""
        tensor, stored = self._base.tensors[name], self.tensors[name]
        where = f"{self.folder.path}: tensor {shown(name)}"
        data = bytearray(min(stored.size, head_bytes(tensor.dtype, elements(tensor))))
        self._weights.read(name, 0, memoryview(data))
        head = Head.parse(data, stored.size, tensor.dtype, elements(tensor), where)
        lengths = head.sizes.sum(axis=1)
        return PackedTensor(name, where, head, self._weights, head.length + np.cumsum(lengths) - lengths)

    def close(self) -> None:
        """Close the weight files."""
        self._weights.close()

    def __enter__(self) -> "DeltaFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_tensors(weights: Weights, base: Checkpoint) -> None:
    if extra := sorted(weights.tensors.keys() - base.tensors.keys()):
        raise MismatchError(
            f"{weights.folder} changes {listed(extra)}, which the base {base.folder} does not have; "
            "it is a delta on another model"
        )
    for tensor in weights.tensors.values():
        if tensor.dtype != "U8" or len(tensor.shape) != 1:
            raise CheckpointError(
                f"{weights.folder}: tensor {shown(tensor.name)} is {tensor.dtype} in {len(tensor.shape)} dimensions; "
                "a packed tensor is U8 in one. The delta is damaged or not what it says; fetch it again"
            )
