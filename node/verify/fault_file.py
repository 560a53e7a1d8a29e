"""Reading a fault proof of any kind."""

from node.verify.fault import WHAT, opened
from node.verify.merge_fault import MergeFault
from node.verify.values_fault import ValuesFault
from protocol.errors import MalformedError, TooNewError

FaultProof = MergeFault | ValuesFault

KINDS: dict[int, type[MergeFault] | type[ValuesFault]] = {kind.KIND: kind for kind in (MergeFault, ValuesFault)}
"""By their numbers, which are never reused."""


def parse(data: bytes) -> FaultProof:
    """A proof that ``encode`` wrote, its signatures verified; ``check`` says what it shows by itself."""
    reader, kind = opened(data)
    if kind > max(KINDS):
        raise TooNewError(f"{WHAT} of the kind {kind}, which this program does not know; update it")
    if kind not in KINDS:
        raise MalformedError(f"{WHAT} of the unknown kind {kind}")
    return KINDS[kind].read(reader)
