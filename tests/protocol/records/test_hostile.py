"""Records with one fault each are refused by the error and the words for that fault."""

import re

import pytest

from protocol.errors import MalformedError
from protocol.records import Record
from tests.protocol.hostile.make_records import FOLDER, faults

FAULTS = faults()


def test_the_files_are_what_their_generator_makes() -> None:
    assert {p.stem: p.read_bytes() for p in FOLDER.iterdir()} == {name: fault[0] for name, fault in FAULTS.items()}


@pytest.mark.must(
    "REC-1",
    "REC-2",
    "REC-3",
    "REC-4",
    "REC-5",
    "REC-7",
    "REC-9",
    "REC-10",
    "REC-11",
    "REC-12",
    "REC-13",
    "REC-14",
    "REC-15",
    "REC-16",
    "REC-18",
    "REC-20",
    "REC-21",
)
@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_is_refused_by_name(name: str) -> None:
    data, error, says = FAULTS[name]
    payload_type, _, payload = data.partition(b"\n")
    with pytest.raises(MalformedError, match=re.escape(says)) as caught:
        Record.parse(payload_type.decode(), payload)
    assert type(caught.value) is error


def test_no_two_faults_are_one_file() -> None:
    assert len({data for data, _, _ in FAULTS.values()}) == len(FAULTS)
