"""Checkpoints: golden, whose they are, and texts that are none."""

import dataclasses

import pytest

from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError, UsageError
from protocol.log import Checkpoint, Note, NoteKey, log_key, origin
from protocol.log.checkpoint import EMPTY_ROOT, ORIGIN
from protocol.merkle import MAX_LEAVES
from tests.fuzz.fuzz_log import one
from tests.protocol.log.stories import HOSTILE, KEY, ROUND, STRANGER, TRUSTED, VECTORS, log, signed
from tests.protocol.log.test_note import FAULTS as NOTE_FAULTS

FAULTS: dict[str, tuple[type[PeerError], str]] = {
    "root_missing": (MalformedError, "three lines"),
    "origin_empty": (MalformedError, "empty line"),
    "size_empty": (MalformedError, "size is ''"),
    "size_with_a_leading_zero": (MalformedError, "size is '07'"),
    "size_with_a_sign": (MalformedError, r"size is '\+7'"),
    "size_negative": (MalformedError, "size is '-1'"),
    "size_with_underscores": (MalformedError, "size is '1_0'"),
    "size_in_arabic_digits": (MalformedError, r"size is '\\u0667'"),
    "size_beyond_63_bits": (MalformedError, "size is '9223372036854775808'"),
    "size_of_many_digits": (MalformedError, "size is '9999"),
    "root_of_31_bytes": (MalformedError, "root is 31 bytes long"),
    "root_in_hexadecimal": (TooLargeError, "root has 64 characters of base64, for at most 32 bytes"),
    "root_of_nothing_is_something": (MalformedError, "no records with a root other than"),
    "empty_extension_line": (MalformedError, "empty line"),
}
"""Each is a note whose signature by the golden key holds, so that only the text is at fault."""


@pytest.mark.must("LOG-1", "LOG-5", "LOG-6")
def test_checkpoints_are_golden() -> None:
    for golden in VECTORS["checkpoints"]:
        found = Checkpoint.open(golden["note"].encode(), TRUSTED)
        assert found == log(golden["size"]).checkpoint()
        assert found.sign(KEY).decode() == golden["note"]
        assert found.origin == f"umm/round/{VECTORS['round']}/{KEY.public.id.hex()}"


@pytest.mark.must("LOG-5")
def test_every_hostile_checkpoint_is_refused_with_its_own_error() -> None:
    assert {path.stem for path in HOSTILE.iterdir()} == {*FAULTS, *NOTE_FAULTS}
    for name, (error, words) in FAULTS.items():
        data = (HOSTILE / f"{name}.bin").read_bytes()
        Note.parse(data).verify(TRUSTED)
        with pytest.raises(error, match=words) as caught:
            Checkpoint.open(data, TRUSTED)
        assert type(caught.value) is error, name


@pytest.mark.must("LOG-5")
def test_lines_that_others_add_are_read_and_mean_nothing() -> None:
    extended = dataclasses.replace(log(3).checkpoint(), extensions=("something more", "and more"))
    note = Note.sign(extended.text, TRUSTED.name, KEY)
    assert Checkpoint.open(note.encode(), TRUSTED) == extended
    with pytest.raises(UsageError, match="extension"):
        extended.sign(KEY)


@pytest.mark.must("LOG-3", "LOG-6")
def test_a_checkpoint_of_another_log_does_not_open() -> None:
    other_round = log_key(bytes(32), KEY.public)
    other_keeper = log_key(ROUND, STRANGER.public)
    for key in (other_round, other_keeper, NoteKey(TRUSTED.name, STRANGER.public)):
        with pytest.raises(ForgedError):
            Checkpoint.open(signed(), key)
    wrong_text = Note.sign(log(3).checkpoint().text, other_round.name, KEY)
    with pytest.raises(ForgedError, match="a checkpoint of the log"):
        Checkpoint.open(wrong_text.encode(), other_round)


@pytest.mark.must("LOG-6")
def test_a_node_signs_for_its_own_log_only() -> None:
    now = log(3).checkpoint()
    for name in (
        origin(ROUND, STRANGER.public),
        f"DSSEv1 {now.origin}",
        now.origin.upper(),
        "example.com/log",
        now.origin + "/",
    ):
        with pytest.raises(UsageError):
            dataclasses.replace(now, origin=name).sign(KEY)
    assert ORIGIN.fullmatch(now.origin)
    with pytest.raises(UsageError):
        origin(bytes(31), KEY.public)


@pytest.mark.must("LOG-5")
def test_checkpoints_are_valid_once_built() -> None:
    for name, size, root, more in (
        ("", 1, bytes(32), ()),
        ("a\nb", 1, bytes(32), ()),
        ("a", -1, bytes(32), ()),
        ("a", MAX_LEAVES + 1, bytes(32), ()),
        ("a", 1, bytes(31), ()),
        ("a", 0, bytes(32), ()),
        ("a", 1, bytes(32), ("",)),
        ("a", 1, bytes(32), ("b\n",)),
    ):
        with pytest.raises(MalformedError):
            Checkpoint(name, size, root, more)
    assert Checkpoint("a", 0, EMPTY_ROOT).text.startswith("a\n0\n47DEQpj8HBSa")


def test_hostile_files_are_refused_by_the_fuzz_target_too() -> None:
    for path in HOSTILE.iterdir():
        one(path.read_bytes())
