"""The records of a round in the order in which a node accepted them, so that nobody can tell two people two stories.

`record_log` the log itself · `checkpoint` what its keeper signs · `proof` a record is in it, it only grew · `fork` a
keeper told two stories · `note` the signed text under all of it · `lines` how numbers and hashes are spelled.
The formats are those of C2SP (signed-note, tlog-checkpoint, tlog-proof); `docs/protocol/log.md` has all of it.
"""

from protocol.log.checkpoint import Checkpoint, log_key, origin
from protocol.log.fork import Fork
from protocol.log.note import Note, NoteKey
from protocol.log.proof import Growth, Inclusion
from protocol.log.record_log import Log

__all__ = ["Checkpoint", "Fork", "Growth", "Inclusion", "Log", "Note", "NoteKey", "log_key", "origin"]
