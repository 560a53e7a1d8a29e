"""What a store holds, in bytes: which blobs, how large, pinned by whom, and which was used last. Pure.

Rules:

1. ``used`` is the sum of the sizes of the blobs added and not removed, to the byte.
2. A blob that anybody pins is never evicted. A pin may come before its blob, and outlives it.
3. Those evicted to make room are the unpinned ones used longest ago, and no more of them than the room needs.
4. When evicting every unpinned blob would not make enough room, nothing is evicted and the refusal says why.
"""

from collections import OrderedDict

from protocol.errors import EnvironmentFault, UsageError


class Quota:
    """The books of a store; ``limit`` is in bytes."""

    def __init__(self, limit: int) -> None:
        if limit <= 0:
            raise UsageError(f"a store cannot have a quota of {limit} bytes")
        self.limit = limit
        self.used = 0
        self.pinned = 0
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._pins: dict[bytes, set[str]] = {}

    def __contains__(self, blob: bytes) -> bool:
        return blob in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, blob: bytes, size: int) -> None:
        """A blob is here now, and is the one used last."""
        if blob in self._sizes:
            raise ValueError("a blob is counted once")
        self._sizes[blob] = size
        self.used += size
        self.pinned += size if blob in self._pins else 0

    def remove(self, blob: bytes) -> None:
        """A blob is no longer here."""
        size = self._sizes.pop(blob)
        self.used -= size
        self.pinned -= size if blob in self._pins else 0

    def touch(self, blob: bytes) -> None:
        """A blob was used just now."""
        if blob in self._sizes:
            self._sizes.move_to_end(blob)

    def pin(self, blob: bytes, holder: str) -> None:
        """``holder`` needs this blob."""
        if blob not in self._pins:
            self.pinned += self._sizes.get(blob, 0)
        self._pins.setdefault(blob, set()).add(holder)

    def unpin(self, blob: bytes, holder: str) -> None:
        """``holder`` needs it no more; others may."""
        holders = self._pins.get(blob, set())
        holders.discard(holder)
        if not holders and self._pins.pop(blob, None) is not None:
            self.pinned -= self._sizes.get(blob, 0)

    def held_by(self, holder: str) -> tuple[bytes, ...]:
        """What a holder has pinned."""
        return tuple(blob for blob, holders in self._pins.items() if holder in holders)

    def victims(self, size: int) -> tuple[bytes, ...]:
        """What to evict so that ``size`` more bytes fit, the one used longest ago first."""
        if size > self.limit:
            raise EnvironmentFault(
                f"{size} bytes do not fit into a store whose quota is {self.limit} bytes; raise the quota"
            )
        excess = self.used + size - self.limit
        if excess > self.used - self.pinned:
            raise EnvironmentFault(
                f"the store is full: {size} bytes are needed, the quota is {self.limit} bytes, and {self.pinned} of "
                "them are pinned; raise the quota or unpin what is no longer needed"
            )
        return tuple(self._oldest(excess))

    def surplus(self) -> tuple[bytes, ...]:
        """What to evict so that the quota is kept, as far as pins allow: for a quota that was lowered."""
        return tuple(self._oldest(min(self.used - self.limit, self.used - self.pinned)))

    def _oldest(self, excess: int) -> list[bytes]:
        found: list[bytes] = []
        for blob, size in self._sizes.items():
            if excess <= 0:
                break
            if blob not in self._pins:
                found.append(blob)
                excess -= size
        return found
