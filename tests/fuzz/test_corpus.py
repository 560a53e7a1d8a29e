"""What fuzzing found once is refused by name for ever: every target over its corpus and over the hostile files."""

import importlib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))
HOSTILE = sorted(path for path in (HERE.parent / "protocol" / "hostile").rglob("*") if path.suffix in (".json", ".bin"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_parser_answers_bytes_of_any_kind_with_its_own_errors_only(target: str) -> None:
    one = importlib.import_module(f"tests.fuzz.fuzz_{target}").one
    for path in [*sorted((HERE / "corpus" / target).glob("*")), *HOSTILE]:
        one(path.read_bytes())
