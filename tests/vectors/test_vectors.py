"""The golden files are what their generators make, so that nobody edits one by hand."""

from pathlib import Path

import pytest

from tests.vectors.regenerate import generated


@pytest.mark.parametrize("path", sorted(generated()), ids=lambda path: path.stem)
def test_a_golden_file_is_what_its_generator_makes(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated()[path]
