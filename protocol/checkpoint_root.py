"""What a checkpoint is, in 32 bytes, made from the blob ids of its tensors and files.

- **Tensor leaf**: BLAKE3 of ``field("umm/tensor/1") field(name) field(dtype) n d_1 … d_n`` and the id of the blob with
  the values as they lie in a safetensors file. The dtype is spelled as in its header (``BF16``); ``n`` is the number
  of dimensions in 4 bytes, each dimension takes 8, little-endian.
- **File leaf**: BLAKE3 of ``field("umm/file/1") field(name)`` and the id of the blob with the file's bytes.
- **Root**: the tree of ``merkle`` over the tensor leaves in order of name, then the file leaves in order of name (by
  code point, which is also the order of the UTF-8 bytes).

The blob id is what a download has verified already, so a root costs no second look at the values. ``umm.digest`` says
the same from a folder on disk; ``tests/vectors/digest.json`` holds both to it.
"""

from collections.abc import Mapping, Sequence

from protocol import merkle
from protocol.field import field, number

TENSOR_DOMAIN = b"umm/tensor/1"
FILE_DOMAIN = b"umm/file/1"


def tensor_leaf(name: str, dtype: str, shape: Sequence[int], blob_id: bytes) -> bytes:
    """The leaf of a tensor whose values are a blob."""
    sides = b"".join(number(side, 8) for side in shape)
    head = field(TENSOR_DOMAIN) + field(name.encode()) + field(dtype.encode())
    return merkle.blake3_hash(head + number(len(shape), 4) + sides + blob_id)


def file_leaf(name: str, blob_id: bytes) -> bytes:
    """The leaf of a file beside the weights."""
    return merkle.blake3_hash(field(FILE_DOMAIN) + field(name.encode()) + blob_id)


def ordered(tensors: Mapping[str, bytes], files: Mapping[str, bytes]) -> list[bytes]:
    """Leaves by name, in the order in which the tree takes them."""
    return [leaf for _, leaf in sorted(tensors.items())] + [leaf for _, leaf in sorted(files.items())]


def root(tensors: Mapping[str, bytes], files: Mapping[str, bytes]) -> bytes:
    """The root over leaves by name."""
    return merkle.root(ordered(tensors, files))
