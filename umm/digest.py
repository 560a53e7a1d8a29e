"""What a checkpoint is, in 32 bytes, however it is split into files.

Every digest is BLAKE3. ``field(x)`` below is the length of ``x`` as 4 bytes little-endian, then ``x``; text
is UTF-8.

- **Blob id** of some bytes: ``field("umm/blob/1")``, their number in 8 bytes little-endian, and the Merkle tree hash
  over the digests of their chunks of 1 MiB, the last one shorter. Whoever checks chunks while fetching them has hashed
  everything that a root needs.
- **Tensor leaf**: ``field("umm/tensor/1") field(name) field(dtype) n d_1 … d_n`` then the blob id of the values as they
  lie in a safetensors file (little-endian, row-major). The dtype is spelled as in its header (``BF16``); ``n`` is
  the number of dimensions in 4 bytes, each dimension takes 8, little-endian.
- **File leaf**: ``field("umm/file/1") field(name)`` then the blob id of the file's bytes.
- **Root**: the Merkle tree hash over the tensor leaves sorted by name followed by the file leaves sorted by name (by
  code point, which is also the order of the UTF-8 bytes).

The Merkle tree hash is that of RFC 6962: ``H(0x00 leaf)`` for one leaf, ``H(0x01 left right)`` with the left side the
largest power of two smaller than the count, ``H()`` for none.

The files under a root are ``config.json`` and ``SMALL_FILES``. README.md, umm.json and the index are not:
they tell about the root or about the split.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from blake3 import blake3

from umm.checkpoint.folder import CONFIG, MAX_CONFIG_BYTES, MAX_SMALL_FILE_BYTES, SMALL_FILES, Folder
from umm.checkpoint.reader import Checkpoint, StoredTensor

TENSOR_DOMAIN = b"umm/tensor/1"
FILE_DOMAIN = b"umm/file/1"
BLOB_DOMAIN = b"umm/blob/1"
CHUNK_BYTES = 1 << 20
LEAF = b"\x00"
NODE = b"\x01"

ROOT_FILES = frozenset({CONFIG, *SMALL_FILES})
"""The files beside the weights that a root covers."""

HASHING_THREADS = 4


class Leaf:
    """A leaf in the making: feed it the bytes in order, then ask for the digest."""

    def __init__(self, preamble: bytes) -> None:
        self._preamble = preamble
        self._chunks: list[bytes] = []
        self._chunk, self._filled = blake3(), 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; long ones are hashed without holding Python's lock."""
        rest = memoryview(data)
        while rest:
            part = rest[: CHUNK_BYTES - self._filled]
            self._chunk.update(part)
            self._filled += len(part)
            if self._filled == CHUNK_BYTES:
                self._chunks.append(self._chunk.digest())
                self._chunk, self._filled = blake3(), 0
            rest = rest[len(part) :]

    def chunks(self) -> tuple[bytes, ...]:
        """The digests of the chunks so far, of which the blob id is made."""
        return (*self._chunks, self._chunk.digest()) if self._filled else tuple(self._chunks)

    def digest(self) -> bytes:
        """The leaf's 32 bytes."""
        size = len(self._chunks) * CHUNK_BYTES + self._filled
        blob = blake3(_field(BLOB_DOMAIN) + size.to_bytes(8, "little") + _tree(self.chunks())).digest()
        return blake3(self._preamble + blob).digest()


def leaf(name: str, dtype: str, shape: Sequence[int]) -> Leaf:
    """The leaf of a tensor, before any of its values."""
    sides = b"".join(side.to_bytes(8, "little") for side in shape)
    text = _field(TENSOR_DOMAIN) + _field(name.encode()) + _field(dtype.encode())
    return Leaf(text + len(shape).to_bytes(4, "little") + sides)


def file_leaf(name: str, data: bytes) -> bytes:
    """The leaf of a whole small file."""
    whole = Leaf(_field(FILE_DOMAIN) + _field(name.encode()))
    whole.update(data)
    return whole.digest()


def root(tensors: Mapping[str, bytes], files: Mapping[str, bytes] | None = None) -> bytes:
    """The root over leaves by name; see above."""
    named = sorted(tensors.items()) + sorted((files or {}).items())
    return _tree([digest for _, digest in named])


def checkpoint_root(folder: Path) -> bytes:
    """The root of a folder, from every byte on disk."""
    tensors, files = checkpoint_leaves(folder)
    return root(tensors, files)


def checkpoint_leaves(folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The leaves of a folder's tensors and of its files, from every byte on disk."""
    with Checkpoint.open(folder) as checkpoint, ThreadPoolExecutor(HASHING_THREADS) as pool:
        stored = checkpoint.tensors
        digests = pool.map(lambda tensor: _tensor_leaf(checkpoint, tensor), stored.values())
        tensors = dict(zip(stored, digests, strict=True))
        names = [CONFIG, *checkpoint.small_files()]
    here = Folder.of(folder)
    limits = {CONFIG: MAX_CONFIG_BYTES}
    return tensors, {n: file_leaf(n, here.read(n, limits.get(n, MAX_SMALL_FILE_BYTES))) for n in names}


def _tensor_leaf(checkpoint: Checkpoint, tensor: StoredTensor) -> bytes:
    tensor.require()
    made = leaf(tensor.name, tensor.dtype, tensor.shape)
    for block in checkpoint.blocks(tensor.name):
        made.update(block)
    return made.digest()


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _tree(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return blake3(b"").digest()
    if len(leaves) == 1:
        return blake3(LEAF + leaves[0]).digest()
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return blake3(NODE + _tree(leaves[:left]) + _tree(leaves[left:])).digest()
