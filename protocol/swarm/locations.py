"""Where a pointer lies: in one dictionary of the swarm for each level of a tree over the authors' ids.

The dictionary of a round, a kind and the first ``bits`` bits of an author's id has the location

    SHA-1(field("umm/swarm/1") round_id kind bits prefix)

with the kind in 1 byte, bits in 2 bytes little-endian and the prefix in as many whole bytes as it needs, big-endian,
its value shifted to the right. SHA-1 because that is what hivemind's DHT measures distances in.

Rules:

1. A pointer is written at every level of ``LEVELS``. On the last one nobody but its author can write.
2. A dictionary is only so large (``storage``). Who reads one with ``CROWDED`` entries or more may have missed some, and
   reads its children on the next level too. So a small round is read with one look-up and a large one with 273.
"""

import hashlib

from protocol.field import field
from protocol.pointer import Kind, Pointer

DOMAIN = b"umm/swarm/1"

LEVELS = (0, 4, 8, 256)
"""Bits of the author's id that share a dictionary: all, 16 shards, 256 shards, each author alone."""

SHARED_LEVELS = LEVELS[:-1]
"""Those that can be read by who does not know the authors."""

AUTHOR_LEVEL = LEVELS[-1]

MAX_DICTIONARY_ENTRIES = 1024
"""In one dictionary; about 320 KB as a message. hivemind loses messages above 4 MiB."""

CROWDED = 128
"""Entries. Well below what one peer may bring into a dictionary (``storage.MAX_ENTRIES_OF_A_PEER``), so that an entry
was refused only where a reader sees at least this many."""

ID_BITS = 256


def location(round_id: bytes, kind: Kind, bits: int, prefix: int) -> bytes:
    """The 20 bytes under which hivemind's DHT knows this dictionary."""
    where = prefix.to_bytes((bits + 7) // 8, "big")
    name = field(DOMAIN) + round_id + bytes([kind]) + bits.to_bytes(2, "little") + where
    return hashlib.sha1(name, usedforsecurity=False).digest()


def prefix_of(author_id: bytes, bits: int) -> int:
    """The first bits of an author's id."""
    return int.from_bytes(author_id, "big") >> (ID_BITS - bits)


def locations_of(pointer: Pointer) -> tuple[bytes, ...]:
    """Every place where this pointer belongs, one for each of ``LEVELS``."""
    return tuple(location(pointer.round_id, pointer.kind, bits, prefix_of(pointer.author_id, bits)) for bits in LEVELS)


def children(bits: int, prefix: int) -> tuple[int, range] | None:
    """The next level that strangers can read, and the prefixes on it that begin with this one."""
    deeper = [level for level in SHARED_LEVELS if level > bits]
    if not deeper:
        return None
    step = deeper[0] - bits
    return deeper[0], range(prefix << step, (prefix + 1) << step)
