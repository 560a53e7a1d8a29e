"""What the rest of the program knows of a swarm: it publishes pointers and finds them."""

from collections.abc import Collection
from typing import Protocol

from protocol.pointer import Kind, Pointer


class Directory(Protocol):
    """Where pointers are published and found. Implemented by the real swarm and by the one in memory."""

    async def publish(self, round_id: bytes, *pointers: Pointer) -> int:
        """Tell the swarm, and go on telling it until the pointers expire; own ones are renewed until :meth:`forget`.

        Pointers of others may be published too: they are signed. All must be of this round (``UsageError`` otherwise,
        and for one that is expired or lives longer than any pointer may).

        Returns how many other nodes said that they keep at least one of them. That proves nothing; reading does.
        """
        ...

    async def find(self, round_id: bytes, kind: Kind, authors: Collection[bytes] | None = None) -> list[Pointer]:
        """All living pointers of this kind in the round, by author and slot, each signed by its author.

        With ``authors`` (compressed points) only theirs: looked up where nobody but they can write, so that no flood
        of strangers hides them. Ask so for whoever the round names: its convener, its stewards, an allow-list.
        """
        ...

    async def forget(self, round_id: bytes, *pointers: Pointer) -> None:
        """No longer publish these again. What the swarm holds expires by itself."""
        ...

    async def close(self) -> None:
        """Stop; afterwards nothing of the swarm is left in this process or beside it."""
        ...
