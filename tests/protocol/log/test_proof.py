"""Proofs about a log: golden, offline, and what a liar may try."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import merkle
from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError, TooNewError
from protocol.field import field
from protocol.log import Checkpoint, Fork, Growth, Inclusion
from protocol.log.note import NoteSignature
from tests.fuzz.fuzz_log import one
from tests.protocol.log.stories import IDS, OTHER_IDS, STRANGER, TRUSTED, VECTORS, log, signed
from tests.vectors.make_merkle import blake3_hash

Spoil = Callable[[str], str]

INCLUSION = VECTORS["inclusions"][-1]["proof"]
GROWTH = VECTORS["growths"][2]["proof"]
FORK = bytes.fromhex(VECTORS["forks"][0]["proof"])
NODE = INCLUSION.splitlines()[2]
HEAD = field(b"umm/log-fork")


@pytest.mark.must("LOG-1", "LOG-8", "LOG-9")
@pytest.mark.parametrize("golden", VECTORS["inclusions"], ids=lambda g: f"{g['index']} of {g['size']}")
def test_inclusion_proofs_are_golden(golden: dict[str, object]) -> None:
    index, size, text = golden["index"], golden["size"], golden["proof"]
    assert isinstance(index, int)
    assert isinstance(size, int)
    assert isinstance(text, str)
    assert log().inclusion(IDS[index], signed(size)).encode().decode() == text
    found = Inclusion.parse(text.encode())
    assert found.encode().decode() == text
    assert found.check(IDS[index], TRUSTED) == log(size).checkpoint()


@pytest.mark.must("LOG-10")
@pytest.mark.parametrize("golden", VECTORS["growths"], ids=lambda g: f"{g['old']} to {g['size']}")
def test_growth_proofs_are_golden(golden: dict[str, object]) -> None:
    old, size, text = golden["old"], golden["size"], golden["proof"]
    assert isinstance(old, int)
    assert isinstance(size, int)
    assert isinstance(text, str)
    assert log().growth(old, signed(size)).encode().decode() == text
    found = Growth.parse(text.encode())
    assert found.encode().decode() == text
    assert found.check(log(old).checkpoint(), TRUSTED) == log(size).checkpoint()


@pytest.mark.must("LOG-11")
@pytest.mark.parametrize("golden", VECTORS["forks"], ids=lambda g: f"{g['old']} and {g['size']}")
def test_fork_proofs_are_golden(golden: dict[str, object]) -> None:
    old, size, text = golden["old"], golden["size"], golden["proof"]
    assert isinstance(old, int)
    assert isinstance(size, int)
    assert isinstance(text, str)
    made = log(size, OTHER_IDS).fork(signed(old), signed(size, OTHER_IDS))
    assert made.encode().hex() == text
    found = Fork.parse(bytes.fromhex(text))
    assert found == made
    found.check(TRUSTED)


@pytest.mark.must("LOG-9")
def test_an_inclusion_proof_shows_one_record_under_one_key() -> None:
    proof = Inclusion.parse(INCLUSION.encode())
    for wrong in (IDS[0], blake3_hash(b"no record"), b""):
        with pytest.raises(ForgedError):
            proof.check(wrong, TRUSTED)
    with pytest.raises(ForgedError):
        proof.check(IDS[6], dataclasses.replace(TRUSTED, public=STRANGER.public))
    for changes in (
        {"index": 5},
        {"index": 7},
        {"index": merkle.MAX_LEAVES},
        {"path": proof.path[:-1]},
        {"path": (*proof.path, bytes(32))},
        {"path": ()},
        {"checkpoint": signed(4)},
        {"checkpoint": signed(7, OTHER_IDS)},
        {"checkpoint": signed(0)},
    ):
        with pytest.raises(ForgedError):
            dataclasses.replace(proof, **changes).check(IDS[6], TRUSTED)
    with pytest.raises(MalformedError):
        dataclasses.replace(proof, checkpoint=b"").check(IDS[6], TRUSTED)


@pytest.mark.must("LOG-10")
def test_a_growth_proof_shows_one_growth_under_one_key() -> None:
    proof, older = Growth.parse(GROWTH.encode()), log(4).checkpoint()
    proof.check(older, TRUSTED)
    for changes in (
        {"path": proof.path[:-1]},
        {"path": (*proof.path, bytes(32))},
        {"path": ()},
        {"old": 3},
        {"old": 0, "path": ()},
        {"checkpoint": signed(6)},
        {"checkpoint": signed(3)},
        {"checkpoint": signed(7, OTHER_IDS)},
    ):
        with pytest.raises(ForgedError):
            dataclasses.replace(proof, **changes).check(older, TRUSTED)
    for another in (log(3).checkpoint(), log(4, OTHER_IDS).checkpoint(), dataclasses.replace(older, origin="another")):
        with pytest.raises(ForgedError):
            proof.check(another, TRUSTED)


@pytest.mark.must("LOG-10")
def test_every_log_grew_from_the_empty_one_and_no_hash_says_so() -> None:
    empty = log(0).checkpoint()
    assert Growth(0, (), signed(7)).check(empty, TRUSTED).size == 7
    assert Growth(0, (), signed(0)).check(empty, TRUSTED).size == 0
    with pytest.raises(ForgedError):
        Growth(0, (bytes(32),), signed(7)).check(empty, TRUSTED)


@pytest.mark.must("LOG-7", "LOG-11")
def test_a_fork_proof_convicts_whoever_told_two_stories() -> None:
    """Of every pair of sizes: where the two stories differ at the older size, and only there."""
    for old in range(1, 8):
        for new in range(old, 8):
            differ = old >= 3
            one_story, other_story = signed(old), signed(new, OTHER_IDS)
            if differ:
                Fork.parse(log(7, OTHER_IDS).fork(other_story, one_story).encode()).check(TRUSTED)
            elif one_story != other_story:
                with pytest.raises(ForgedError, match="same story"):
                    log(7, OTHER_IDS).fork(other_story, one_story)


@pytest.mark.must("LOG-11")
def test_an_honest_keeper_cannot_be_convicted() -> None:
    honest = log()
    for old in range(1, 8):
        for new in range(old, 8):
            path = honest._tree.growth(old, new) if old < new else ()
            for tried in (path, honest._tree.consistency(old, new), (), (bytes(32),), path[:-1], (*path, bytes(32))):
                for older, newer in ((old, new), (new, old)):
                    with pytest.raises(ForgedError):
                        Fork(signed(older), signed(newer), tried).check(TRUSTED)
    with pytest.raises(ForgedError):
        Fork(signed(0), signed(7), ()).check(TRUSTED)
    strangers_story = Checkpoint(TRUSTED.name, 7, bytes(32)).text
    forged = signed(7).replace(log().checkpoint().text.encode(), strangers_story.encode())
    with pytest.raises(ForgedError):
        Fork(signed(7), forged, ()).check(TRUSTED)


@pytest.mark.must("LOG-8")
@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda t: "", MalformedError, "no empty line"),
        (lambda t: t.replace("@v1", "@v2"), TooNewError, "form c2sp.org/tlog-proof@v2"),
        (lambda t: t.replace("@v1", "@v0"), MalformedError, "begins with"),
        (lambda t: t.replace("@v1", "@v01"), MalformedError, "begins with"),
        (lambda t: "\n" + t, MalformedError, "begins with"),
        (lambda t: t.replace("c2sp", "é"), MalformedError, "not ASCII"),
        (lambda t: t.replace("\n", "\r\n"), MalformedError, "no empty line"),
        (lambda t: t.replace("index 6\n", ""), MalformedError, "no line with the index"),
        (lambda t: t.replace("index 6", "index 06"), MalformedError, "index is '06'"),
        (lambda t: t.replace("index 6", "index -6"), MalformedError, "index is '-6'"),
        (lambda t: t.replace("index 6", "index 6 "), MalformedError, "index is '6 '"),
        (lambda t: t.replace("index 6", f"index {2**63}"), MalformedError, "index is '9223372036854775808'"),
        (lambda t: t.replace("index 6", "index " + "9" * 5000), MalformedError, "index is '9999"),
        (lambda t: t.replace("index 6", "extra \nindex 6"), MalformedError, "none in it"),
        (lambda t: t.replace("index 6", "extra YQ\nindex 6"), MalformedError, "not base64"),
        (lambda t: t.replace("index 6", "extra YQ==\nextra YQ==\nindex 6"), MalformedError, "no line with the index"),
        (lambda t: t.replace("index 6", "index 6\nextra YQ=="), MalformedError, "hash"),
        (lambda t: t.replace("index 6", f"extra {'YWFh' * 1366}\nindex 6"), TooLargeError, "data has 4098 bytes"),
        (lambda t: t.replace(NODE, NODE[:40]), MalformedError, "30 bytes long"),
        (lambda t: t.replace(NODE, NODE + " "), TooLargeError, "45 characters of base64"),
        (lambda t: t.replace(NODE, "\n".join([NODE] * 64)), TooLargeError, "65 hashes; at most 64"),
        (lambda t: t.replace(NODE, "\n".join([NODE] * 400)), TooLargeError, "at most 16384"),
        (lambda t: t + "x" * 150_000, TooLargeError, "at most 147456"),
        (lambda t: t + "x" * 131_000, TooLargeError, "a checkpoint of"),
    ],
)
def test_a_misshapen_inclusion_proof_is_refused(spoil: Spoil, error: type[PeerError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Inclusion.parse(spoil(INCLUSION).encode())
    assert type(caught.value) is error


@pytest.mark.must("LOG-8")
def test_extra_data_is_carried_and_vouches_for_nothing() -> None:
    plain = Inclusion.parse(INCLUSION.encode())
    extended = Inclusion.parse(INCLUSION.replace("index 6", "extra aGVsbG8=\nindex 6").encode())
    assert extended == dataclasses.replace(plain, extra=b"hello")
    assert Inclusion.parse(extended.encode()) == extended
    assert extended.check(IDS[6], TRUSTED) == plain.check(IDS[6], TRUSTED)


@pytest.mark.must("LOG-10")
@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda t: "", MalformedError, "no empty line"),
        (lambda t: t.replace("old 4", "new 4"), MalformedError, "begins with"),
        (lambda t: t.replace("old 4", "old  4"), MalformedError, "size is ' 4'"),
        (lambda t: t.replace("old 4", "old 04"), MalformedError, "size is '04'"),
        (lambda t: t.replace("old 4", "old four"), MalformedError, "size is 'four'"),
        (lambda t: t.replace("old 4", "old 4\nYQ=="), MalformedError, "1 bytes long"),
        (lambda t: t.replace("old 4", "old 4" + f"\n{NODE}" * 65), TooLargeError, "at most 64"),
        (lambda t: "old 4" + "\n\n" + "x" * 131_073, TooLargeError, "a checkpoint of 131073 bytes"),
    ],
)
def test_a_misshapen_growth_proof_is_refused(spoil: Spoil, error: type[PeerError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Growth.parse(spoil(GROWTH).encode())
    assert type(caught.value) is error


@pytest.mark.must("LOG-11")
@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", MalformedError, "does not begin with"),
        (HEAD, MalformedError, "ends within a field"),
        (HEAD + b"\0" + FORK[len(HEAD) + 1 :], MalformedError, "version 0, which never was"),
        (HEAD + b"\2" + FORK[len(HEAD) + 1 :], TooNewError, "version 2; this program knows 1"),
        (field(b"umm/log-form") + FORK[len(HEAD) :], MalformedError, "does not begin with"),
        (HEAD + b"\1", MalformedError, "ends within a field"),
        (HEAD + b"\1\xff\xff\xff\xff" + bytes(100), TooLargeError, "a note of 4294967295 bytes"),
        (HEAD + b"\1" + field(b"a") + b"\1\0\0", MalformedError, "ends within a field"),
        (FORK[:-1], MalformedError, "not of whole hashes"),
        (FORK + b"\0", MalformedError, "not of whole hashes"),
        (FORK + bytes(32 * 65), TooLargeError, "too many hashes"),
        (HEAD + b"\1" + field(bytes(131_073)) + field(b""), TooLargeError, "a note of 131073 bytes"),
        (bytes(266_241), TooLargeError, "of 266241 bytes; at most 266240"),
    ],
)
def test_a_misshapen_fork_proof_is_refused(data: bytes, error: type[PeerError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Fork.parse(data)
    assert type(caught.value) is error


def test_proofs_are_valid_once_built() -> None:
    note = signed(1)
    for build in (
        lambda: Inclusion(-1, (), note),
        lambda: Inclusion(2**63, (), note),
        lambda: Inclusion(0, (bytes(31),), note),
        lambda: Inclusion(0, (bytes(32),) * 65, note),
        lambda: Growth(-1, (), note),
        lambda: Growth(0, (b"",), note),
        lambda: Fork(note, note, (b"",)),
    ):
        with pytest.raises(MalformedError):
            _call(build)


@settings(deadline=None, max_examples=60)
@given(
    st.binary(max_size=60),
    st.integers(0, 400),
    st.integers(0, 60),
    st.sampled_from([INCLUSION.encode(), GROWTH.encode(), FORK]),
)
def test_any_bytes_are_a_proof_or_refused_with_a_reason(data: bytes, at: int, cut: int, golden: bytes) -> None:
    one(data)
    one(golden[:at] + data + golden[at + cut :])


def test_a_checkpoint_may_carry_signatures_of_others() -> None:
    """It is included verbatim, so a witness's line survives the way through our parser."""
    cosigned = signed(7) + NoteSignature("witness.example", b"\xfa\xfb\xfc\xfd", b"hello").encode().encode()
    proof = Inclusion.parse(log().inclusion(IDS[2], cosigned).encode())
    assert proof.checkpoint == cosigned
    assert proof.check(IDS[2], TRUSTED).size == 7


def _call(build: Callable[[], object]) -> object:
    return build()
