"""Golden records: made without the code under test, and read and written by it."""

import json
from pathlib import Path

import pytest

from protocol.envelope import Envelope
from protocol.identity import PublicKey
from protocol.ledger import Equivocation
from protocol.records import REGISTRY, Contribution, Record, Roster, Signed, open_record
from tests.protocol.records.examples import ALL, digest, vote
from tests.vectors.make_records import vectors

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "records.json").read_text(encoding="utf-8"))
NAMES = sorted(VECTORS["records"])


def described(name: str) -> Signed[Record]:
    golden = VECTORS["records"][name]
    public = PublicKey.from_point(bytes.fromhex(golden["author"]))
    signature = bytes.fromhex(golden["signature"])
    return open_record(Envelope(golden["payload_type"], golden["payload"].encode(), public, signature))


def test_the_file_is_what_its_generator_makes() -> None:
    assert vectors() == VECTORS


def test_every_kind_has_a_vector() -> None:
    assert {described(name).record.noun for name in NAMES} == set(REGISTRY)


@pytest.mark.must("REC-1", "REC-4", "REC-6", "REC-8")
@pytest.mark.parametrize("name", NAMES)
def test_a_golden_record_is_read_verified_and_written_to_the_same_bytes(name: str) -> None:
    signed = described(name)
    assert signed.id.hex() == signed.record.id.hex() == VECTORS["records"][name]["id"]
    assert signed.record.payload().decode() == VECTORS["records"][name]["payload"]
    assert signed.record == ALL[name].record
    assert signed.envelope == ALL[name].envelope


@pytest.mark.must("REC-19")
def test_the_golden_commitment_hides_the_golden_contribution() -> None:
    signed = open_record(ALL["contribution"].envelope, Contribution)
    assert signed.record.commitment_digest.hex() == VECTORS["commitment_digest"]


@pytest.mark.must("REC-23")
@pytest.mark.parametrize("golden", VECTORS["rosters"], ids=lambda golden: f"{len(golden['bytes']) // 64} ids")
def test_a_golden_roster_has_its_id(golden: dict[str, str]) -> None:
    roster = Roster.parse(bytes.fromhex(golden["bytes"]))
    assert (roster.encode().hex(), roster.id.hex()) == (golden["bytes"], golden["id"])


@pytest.mark.must("LED-22")
def test_the_golden_equivocation_is_read_and_written() -> None:
    proof = Equivocation.parse(bytes.fromhex(VECTORS["equivocation"]))
    assert proof.encode().hex() == VECTORS["equivocation"]
    assert proof == Equivocation.of(vote(11, digest("one")), vote(11, digest("other")))
