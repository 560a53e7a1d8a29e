"""One way to read a binary layout: its parts off the front of the bytes, never more of them than there are.

Rules:

1. The length of the whole is checked before anything is read, a count before anything is made for its entries.
2. A version that never was is nonsense. One above ours is of a program of the future. Too old exists only once a
   version is retired.
3. Whoever reads calls ``end``, or ``hashes``, which takes all that is left: nothing hides behind a layout.
"""

from protocol.errors import MalformedError, TooLargeError, TooNewError
from protocol.field import LENGTH_BYTES, field
from protocol.merkle import HASH_BYTES

COUNT_BYTES = 4


class Reader:
    """Bytes of a stranger and a place in them; ``what`` begins every error message."""

    def __init__(self, data: bytes, what: str, limit: int) -> None:
        if len(data) > limit:
            raise TooLargeError(f"{what} of {len(data)} bytes; at most {limit} are allowed")
        self._data, self._what, self._at = data, what, 0

    def domain(self, domain: bytes) -> None:
        """The field that begins the layout."""
        head = field(domain)
        if not self._data.startswith(head, self._at):
            raise MalformedError(f"{self._what} does not begin with {domain.decode()}")
        self._at += len(head)

    def version(self, known: int) -> None:
        """One byte that must be the version that we know."""
        check_version(self.number(1), known, self._what)

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if size > self._left:
            raise MalformedError(f"{self._what} ends within a field, at byte {len(self._data)}")
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def number(self, size: int) -> int:
        """The next number, of ``size`` bytes."""
        return int.from_bytes(self.take(size), "little")

    def count(self, limit: int, least: int, noun: str) -> int:
        """How many entries follow, each of at least ``least`` bytes."""
        found = self.number(COUNT_BYTES)
        if found > limit:
            raise TooLargeError(f"{self._what} claims {found} {noun}; at most {limit} are allowed")
        if found * least > self._left:
            raise MalformedError(f"{self._what} claims {found} {noun}, more than its bytes can hold")
        return found

    def field(self, limit: int, noun: str = "field") -> bytes:
        """A length, and as many bytes."""
        length = self.number(LENGTH_BYTES)
        if length > limit:
            raise TooLargeError(f"{self._what} has a {noun} of {length} bytes; at most {limit} are allowed")
        return self.take(length)

    def text(self, limit: int) -> str:
        """A field of UTF-8."""
        try:
            return self.field(limit, "text").decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError(f"{self._what} has a text that is not UTF-8, before byte {self._at}") from None

    def hashes(self) -> tuple[bytes, ...]:
        """The hashes that are left, to the end."""
        rest = self.take(self._left)
        if len(rest) % HASH_BYTES:
            raise MalformedError(f"{self._what} has a path of {len(rest)} bytes, not of whole hashes")
        return tuple(rest[i : i + HASH_BYTES] for i in range(0, len(rest), HASH_BYTES))

    def end(self) -> None:
        """Refuse anything that is left."""
        if self._left:
            raise MalformedError(f"{self._what} has {self._left} bytes after its end")

    @property
    def _left(self) -> int:
        return len(self._data) - self._at


def check_version(found: int, known: int, what: str) -> None:
    """Refuse every version but ours, and say which of the two reasons it is."""
    if found > known:
        raise TooNewError(f"{what} of version {found}; this program knows {known}. Update it")
    if found < known:
        raise MalformedError(f"{what} of version {found}, which never was")
