"""A byte string that says its own length, so that what follows it is never taken for a part of it."""

LENGTH_BYTES = 4


def field(data: bytes) -> bytes:
    """The length of ``data`` in 4 bytes little-endian, then ``data``."""
    return number(len(data), LENGTH_BYTES) + data


def number(value: int, size: int) -> bytes:
    """A number in ``size`` bytes little-endian."""
    return value.to_bytes(size, "little")
