"""What the tests of the control API share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder with a short name: pytest's own may be too long for a socket."""
    with tempfile.TemporaryDirectory(prefix="umm-") as made:
        yield Path(made)
