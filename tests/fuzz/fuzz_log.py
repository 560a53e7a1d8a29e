"""Notes, checkpoints and proofs about a log, from anyone."""

from collections.abc import Callable
from contextlib import suppress

from cryptography.hazmat.primitives.asymmetric import ec

from protocol.errors import PeerError
from protocol.identity import Key
from protocol.log import Checkpoint, Fork, Growth, Inclusion, Note, NoteKey, log_key

KEY = log_key(bytes(32), Key(ec.derive_private_key(7, ec.SECP256R1())).public)
EMPTY = Checkpoint.parse(f"{KEY.name}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")


def one(data: bytes) -> None:
    """Each kind has one spelling, and nothing holds under a key that never signed."""
    with suppress(PeerError):
        note = Note.parse(data)
        assert note.encode() == data
        with suppress(PeerError):
            assert Checkpoint.parse(note.text).text == note.text
        _refused(lambda: Checkpoint.open(data, KEY))
    with suppress(PeerError):
        inclusion = Inclusion.parse(data)
        assert inclusion.encode() == data
        _refused(lambda: inclusion.check(bytes(32), KEY))
    with suppress(PeerError):
        growth = Growth.parse(data)
        assert growth.encode() == data
        _refused(lambda: growth.check(EMPTY, KEY))
    with suppress(PeerError):
        fork = Fork.parse(data)
        assert fork.encode() == data
        _refused(lambda: fork.check(KEY))
    with suppress(PeerError, UnicodeDecodeError):
        text = data.decode()
        assert NoteKey.parse(text).encode() == text


def _refused(check: Callable[[], object]) -> None:
    try:
        check()
    except PeerError:
        return
    raise AssertionError("something held that this key never signed")
