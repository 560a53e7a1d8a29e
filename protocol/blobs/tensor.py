"""What a tensor may be called, hold and measure, wherever it is spoken of: in a weight file or in a manifest."""

from collections.abc import Sequence

from protocol.blobs.chunks import MAX_BLOB_BYTES
from protocol.errors import MalformedError, TooLargeError
from protocol.strict import CONTROL_CHARACTER, shown

MAX_TENSORS = 262_144
"""Tensors in one file, folder or manifest; the largest public models have about 140 000."""

MAX_NAME_BYTES = 1024
"""UTF-8 length of a tensor's name."""

MAX_DIMENSIONS = 16
"""Length of a shape."""

MAX_SIDE = 2**63 - 1
"""One number of a shape, also where another one is 0."""

METADATA = "__metadata__"
"""What lies under this name in a header of safetensors is no tensor."""

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "I32": 32, "U32": 32, "I64": 64, "U64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip
"""Every dtype that safetensors has, with its width in bits."""


def check_name(name: str, where: str) -> None:
    """Refuse a name that is empty, too long, not Unicode text, unfit to print or taken."""
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise MalformedError(f"{where} has a tensor name that is not Unicode text: {shown(name)}") from None
    if not 0 < length <= MAX_NAME_BYTES:
        raise MalformedError(f"{where} has a tensor name of {length} bytes; 1 to {MAX_NAME_BYTES} are allowed")
    if name == METADATA:
        raise MalformedError(f"{where} has a tensor of the name {METADATA}, which a weight file has for something else")
    if CONTROL_CHARACTER.search(name):
        raise MalformedError(f"{where} has a control character in the tensor name {shown(name)}")


def byte_size(dtype: str, shape: Sequence[int], where: str) -> int:
    """Bytes of a tensor, after checking that they are whole and that no product on the way is beyond reason."""
    if dtype not in DTYPE_BITS:
        raise MalformedError(f"{where} has the unknown dtype {shown(dtype)}")
    if len(shape) > MAX_DIMENSIONS:
        raise MalformedError(f"{where} has {len(shape)} dimensions; the limit is {MAX_DIMENSIONS}")
    bits = DTYPE_BITS[dtype]
    for side in shape:
        if not 0 <= side <= MAX_SIDE:
            raise MalformedError(f"{where} has a side that is not within 0 and {MAX_SIDE}")
        bits *= side
        if bits > 8 * MAX_BLOB_BYTES:
            raise TooLargeError(f"{where} has more values than the {MAX_BLOB_BYTES} bytes that a tensor may take")
    if bits % 8:
        raise MalformedError(f"{where} has {bits} bits, which are not whole bytes")
    return bits // 8
