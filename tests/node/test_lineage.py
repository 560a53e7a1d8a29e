"""``lineage.jsonl``: round trips, and every way in which it can be wrong."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node import lineage
from node.lineage import (
    LINEAGE_FILE,
    MAX_LINEAGE_BYTES,
    MAX_LINES,
    MAX_ROUNDS,
    Lineage,
    Step,
    encode,
    parse,
    read,
    write,
)
from protocol.envelope import Envelope
from protocol.errors import ForgedError, MalformedError, PeerError, ProtocolError, RuleError, TooLargeError
from protocol.records import Ballot, sign
from tests.node.verify.steps import a_revised_step, a_round, a_step, above, an_offer, an_outcome, in_order
from tests.protocol.keys import key
from tests.protocol.records.examples import digest

STEP = a_step(authors=(21, 22, 23))
REVISED = a_revised_step()
LONG = Lineage((above(above(REVISED)), above(REVISED), REVISED))
GOOD = encode(LONG)
LINES = GOOD.splitlines(keepends=True)


@pytest.mark.parametrize("steps", [(STEP,), (REVISED,), LONG.steps], ids=["one result", "revisions", "three rounds"])
def test_what_was_written_is_read_again(steps: tuple[Step, ...], tmp_path: Path) -> None:
    made = Lineage(steps)
    write(tmp_path, made)
    assert read(tmp_path) == made
    assert encode(parse(encode(made))) == encode(made)


def test_a_folder_without_the_file_has_no_lineage(tmp_path: Path) -> None:
    assert read(tmp_path) is None


def test_the_last_outcome_and_its_roster_are_those_of_the_model() -> None:
    assert REVISED.outcome.record.number == 3
    assert REVISED.roster.contributions == tuple(offer.id for offer in REVISED.contributions)


def test_that_there_is_a_newer_revision_no_older_lineage_can_show() -> None:
    assert parse(b"".join(LINES[8:12] + LINES[13:])).steps[0].outcome.record.number == 2


def test_a_lineage_knows_whether_it_reaches_the_first_base() -> None:
    assert LONG.origin is None
    assert Lineage(LONG.steps[:2]).origin == REVISED.outcome.id


def test_records_of_a_roster_of_nothing_are_a_lineage_too() -> None:
    round_ = a_round()
    step = Step(round_, (an_outcome(round_, [], [11]),), ())
    assert parse(encode(Lineage((step,)))).steps == (step,)


def line(envelope: Envelope) -> bytes:
    return envelope.encode() + b"\n"


def respelled(data: bytes) -> bytes:
    first, rest = data.split(b"\n", 1)
    return json.dumps(json.loads(first), indent=None, separators=(", ", ": ")).encode() + b"\n" + rest


def forged(data: bytes) -> bytes:
    """A contribution with another domain under the old signature."""
    lines = data.splitlines(keepends=True)
    found = json.loads(lines[-1])
    payload = base64.b64decode(found["payload"]).replace(b'"mathematics"', b'"mathematikk"')
    found["payload"] = base64.b64encode(payload).decode()
    return b"".join([*lines[:-1], json.dumps(found, sort_keys=True, separators=(",", ":")).encode() + b"\n"])


BALLOT = sign(
    Ballot(author=key(11).public.point, round=STEP.round.id, revision=0, attempt=0, roster=digest("r"), count=1),
    key(11),
)
STRANGER = an_offer(STEP.round, 29)
ELSEWHERE = an_offer(a_round(title="Another round"), 21)
ONE = encode(Lineage((STEP,)))
ONE_LINES = ONE.splitlines(keepends=True)

FAULTS: dict[str, tuple[bytes, type[PeerError], str]] = {
    "empty": (b"", MalformedError, "is empty"),
    "empty line": (b"\n", MalformedError, "line 1"),
    "an empty line in between": (ONE_LINES[0] + b"\n" + b"".join(ONE_LINES[1:]), MalformedError, "line 2"),
    "cut in a line": (ONE[:-7], MalformedError, "middle of a line"),
    "no last line feed": (ONE[:-1], MalformedError, "middle of a line"),
    "carriage returns": (ONE.replace(b"\n", b"\r\n"), MalformedError, "one spelling"),
    "not JSON": (b"{]\n", MalformedError, "line 1"),
    "not UTF-8": (b"\xff\xfe\n", MalformedError, "line 1"),
    "another spelling": (respelled(ONE), MalformedError, "one spelling"),
    "no round": (b"".join(ONE_LINES[1:]), MalformedError, "a result, which has no place at its beginning"),
    "only a round": (ONE_LINES[0], MalformedError, "does not begin with its result"),
    "no result": (
        ONE_LINES[0] + b"".join(ONE_LINES[2:]),
        MalformedError,
        "a contribution, which has no place behind a round",
    ),
    "two results": (
        ONE_LINES[0] + 2 * ONE_LINES[1] + b"".join(ONE_LINES[2:]),
        MalformedError,
        "no place behind a result",
    ),
    "two rounds": (
        2 * ONE_LINES[0] + b"".join(ONE_LINES[1:]),
        MalformedError,
        "a round, which has no place behind a round",
    ),
    "a ballot": (ONE + line(BALLOT.envelope), MalformedError, "line 6 of the lineage is a ballot"),
    "one contribution cut off": (b"".join(ONE_LINES[:-1]), ForgedError, "2 contributions"),
    "one left out in the middle": (b"".join(ONE_LINES[:3] + ONE_LINES[4:]), ForgedError, "they are not the roster"),
    "all cut off": (b"".join(ONE_LINES[:2]), ForgedError, "0 contributions"),
    "one added": (
        b"".join(ONE_LINES[:2]) + b"".join(line(o.envelope) for o in in_order([*STEP.contributions, STRANGER])),
        ForgedError,
        "4 contributions",
    ),
    "one exchanged": (
        b"".join(ONE_LINES[:2]) + b"".join(line(o.envelope) for o in in_order([*STEP.contributions[1:], STRANGER])),
        ForgedError,
        "they are not the roster",
    ),
    "of another round": (b"".join(ONE_LINES[:-1]) + line(ELSEWHERE.envelope), ForgedError, "in the place of one of"),
    "forged": (forged(ONE), ForgedError, "line 5"),
    "one twice": (ONE + ONE_LINES[-1], MalformedError, "ascending order"),
    "out of order": (b"".join([*ONE_LINES[:2], *reversed(ONE_LINES[2:])]), MalformedError, "ascending order"),
    "a revision without its result": (
        LINES[8] + b"".join(LINES[10:]),
        MalformedError,
        "a revision, which has no place",
    ),
    "a revision left out": (b"".join(LINES[8:11] + LINES[12:]), RuleError, "does not follow"),
    "revisions out of order": (b"".join([*LINES[8:10], LINES[11], LINES[10], *LINES[12:]]), PeerError, ""),
    "a round in the middle cut out": (b"".join(LINES[:4] + LINES[8:]), ForgedError, "as the origin of a base"),
    "goes on behind its first base": (GOOD + ONE, MalformedError, "came from no round"),
    "upside down": (b"".join(LINES[8:] + LINES[:8]), MalformedError, "came from no round"),
    "a line too long": (b"{" + b" " * 40_000 + b"}\n", TooLargeError, "takes 40002 bytes"),
    "too many lines": (b"\n" * (MAX_LINES + 1), TooLargeError, f"{MAX_LINES + 1} lines"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_lineage_is_refused_with_its_own_error(name: str) -> None:
    data, kind, message = FAULTS[name]
    with pytest.raises(kind) as refused:
        parse(data)
    assert message in str(refused.value)


def test_more_bytes_than_allowed_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / LINEAGE_FILE).open("wb") as file:
        file.truncate(MAX_LINEAGE_BYTES + 1)
    with pytest.raises(TooLargeError, match="268435457 bytes"):
        read(tmp_path)


def test_a_link_out_a_pipe_and_a_folder_in_place_of_the_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / LINEAGE_FILE
    makers: dict[str, Callable[[], None]] = {
        "link out of its model folder": lambda: path.symlink_to("/etc/passwd"),
        "link to nothing": lambda: path.symlink_to("nothing"),
        "not a plain file": lambda: os.mkfifo(path),
    }
    for message, make in makers.items():
        make()
        with pytest.raises(MalformedError, match=message):
            read(tmp_path)
        path.unlink()
    path.mkdir()
    with pytest.raises(MalformedError, match="not a plain file"):
        read(tmp_path)


def test_a_lineage_in_the_hubs_cache_is_read_through_its_link(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "blob").write_bytes(ONE)
    (snapshot / LINEAGE_FILE).symlink_to("../../blob")
    found = read(snapshot)
    assert found is not None
    assert found.steps == (STEP,)


def test_a_lineage_of_too_many_rounds_is_refused() -> None:
    with pytest.raises(TooLargeError, match=f"{MAX_ROUNDS + 1} rounds"):
        Lineage((STEP,) * (MAX_ROUNDS + 1))


def test_a_base_that_its_round_did_not_make_is_refused() -> None:
    base = above(STEP).round.record.base
    other = a_step(base=type(base)(root=digest("other"), manifest=base.manifest, result=base.result))
    with pytest.raises(ForgedError, match="which made"):
        Lineage((other, STEP))


def test_a_revision_that_removes_what_was_not_in_the_roster_is_refused() -> None:
    round_ = a_round()
    first, second = offers = in_order([an_offer(round_, author) for author in (21, 22)])
    result = an_outcome(round_, offers, [11])
    wrong = an_outcome(round_, [second], [11], after=result, removed=(digest("never there"),))
    with pytest.raises(RuleError, match="does not follow"):
        Step(round_, (result, wrong), (second,))
    del first


def test_what_is_written_keeps_the_limits_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage, "MAX_LINES", 3)
    with pytest.raises(TooLargeError, match="5 lines; at most 3"):
        encode(Lineage((STEP,)))
    monkeypatch.undo()
    monkeypatch.setattr(lineage, "MAX_LINEAGE_BYTES", 100)
    with pytest.raises(TooLargeError, match="at most 100"):
        encode(Lineage((STEP,)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_of_a_byte_is_refused_or_leaves_the_same_file(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(ONE) - 1))
    new = data.draw(st.integers(0, 255))
    changed = ONE[:at] + bytes([new]) + ONE[at + 1 :]
    try:
        found = parse(changed)
    except ProtocolError:
        return
    assert encode(found) == changed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=14))
def test_lines_in_any_order_are_refused_or_are_a_lineage(lines: list[bytes]) -> None:
    try:
        found = parse(b"".join(lines))
    except ProtocolError:
        return
    assert encode(found) == b"".join(lines)
