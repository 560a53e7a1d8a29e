"""Golden signatures and claims: the code writes these very bytes, and believes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from protocol import claims
from protocol.identity import Key
from protocol.modelsigning import Bundle, Statement, key_hint, public_pem, sign_folder, verify_folder
from tests.protocol.modelsigning.folders import fixed_key, write
from tests.vectors.make_modelsigning import content

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "modelsigning.json").read_text("utf-8"))


def golden_key() -> Key:
    return fixed_key(int(GOLDEN["key"]["scalar"], 16))


@pytest.mark.must("OMS-3")
def test_the_golden_key_has_the_golden_hint() -> None:
    public = golden_key().public
    assert public_pem(public).decode() == GOLDEN["key"]["pem"]
    assert key_hint(public) == GOLDEN["key"]["hint"]


@pytest.mark.parametrize("case", GOLDEN["folders"], ids=lambda case: case["name"])
@pytest.mark.must("OMS-8", "OMS-15")
def test_a_golden_folder_gets_the_golden_signature(case: dict[str, Any], tmp_path: Path) -> None:
    folder = write(tmp_path / case["name"], {name: content(file) for name, file in case["files"].items()})
    bundle = case["bundle"].encode()
    assert sign_folder(folder, golden_key()) == bundle
    assert Bundle.parse(bundle).payload == case["payload"].encode()
    assert Statement.parse(case["payload"].encode()).root.hex() == case["root"]
    assert verify_folder(folder, bundle, golden_key().public).root.hex() == case["root"]


@pytest.mark.must("OMS-20", "OMS-21")
def test_the_golden_claims_are_read_and_written_alike() -> None:
    data = GOLDEN["claims"].encode()
    read = claims.parse(data)
    assert [claim.public for claim in read] == [golden_key().public] * 2
    assert claims.encode(read) == data
