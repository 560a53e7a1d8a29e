"""Golden bytes of fault proofs and of a lineage: other implementations are held to them."""

import json
from pathlib import Path

import pytest

from node import lineage
from node.verify import fault_file

FILE = Path(__file__).parents[2] / "vectors" / "faults.json"
GOLDEN: dict[str, str] = json.loads(FILE.read_text())


@pytest.mark.must("FLT-1")
@pytest.mark.parametrize("name", ["merge", "values"])
def test_golden_proofs_are_read_and_hold(name: str) -> None:
    proof = fault_file.parse(bytes.fromhex(GOLDEN[name]))
    proof.check()
    assert proof.encode().hex() == GOLDEN[name]


def test_the_golden_lineage_is_read() -> None:
    found = lineage.parse(GOLDEN["lineage"].encode())
    assert [len(step.outcomes) for step in found.steps] == [1, 4]
    assert lineage.encode(found).decode() == GOLDEN["lineage"]
