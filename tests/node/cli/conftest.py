"""What the tests of the command line share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.cli import main

Output = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for a node, which is not there yet."""
    for variable in ("UMM_DEBUG", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("UMM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def made(home: Path, capsys: Output) -> Path:
    """A node that was made."""
    assert main(["init"]) == 0
    capsys.readouterr()
    return home


@pytest.fixture
def answer(capsys: Output) -> Callable[..., Any]:
    """What a command prints as JSON, and that it prints nothing else."""

    def asked(*words: str, code: int = 0) -> Any:
        assert main([*words, "--json"]) == code
        out, err = capsys.readouterr()
        assert err == ""
        return json.loads(out)

    return asked
