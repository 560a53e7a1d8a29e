"""``umm config``: what holds, and why."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.cli import main

Output = pytest.CaptureFixture[str]


def test_every_setting_has_its_origin(
    made: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any], capsys: Output
) -> None:
    (made / "config.toml").write_text('[storage]\nquota = "2GB"\n')
    monkeypatch.setenv("UMM_LIMITS_MEMORY", "3GB")
    found = answer("config", "show")
    assert found["storage.quota"] == {"value": 2 * 10**9, "origin": str(made / "config.toml")}
    assert found["limits.memory"] == {"value": 3 * 10**9, "origin": "UMM_LIMITS_MEMORY"}
    assert found["network.client"] == {"value": False, "origin": "default"}
    assert main(["config", "show", "--origin"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["limits.memory", '"3GB"', "UMM_LIMITS_MEMORY"] in [line.split() for line in lines]
    assert main(["config", "show"]) == 0
    assert "UMM_LIMITS_MEMORY" not in capsys.readouterr().out


def test_settings_that_are_wrong_are_an_error_with_the_nearest_right_one(made: Path, capsys: Output) -> None:
    (made / "config.toml").write_text("[network]\nlisten_on = []\n")
    assert main(["config", "show"]) == 1
    assert "[network] has no setting 'listen_on'; did you mean listen?" in capsys.readouterr().err


def test_the_place_of_the_settings_is_known_before_they_are_there(home: Path, capsys: Output) -> None:
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"{home}/config.toml\n"
