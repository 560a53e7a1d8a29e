"""``umm inspect`` as somebody types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from node.cli import inspect, main
from umm.errors import EnvironmentFault


def run(*words: str) -> int:
    return int(inspect.command.main(words, "umm inspect", standalone_mode=False))


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    for seed, name in enumerate(("base", "one", "two")):
        folder = tmp_path / name
        folder.mkdir()
        values = torch.randn(8, 8, generator=torch.Generator().manual_seed(seed))
        save_file({"model.layers.0.mlp.up_proj.weight": values}, folder / "model.safetensors")
        (folder / "config.json").write_text("{}")
    return [str(tmp_path / name) for name in ("base", "one", "two")]


def test_tables_are_printed(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*folders) == 0
    out, err = capsys.readouterr()
    assert "mlp.up" in out
    assert "does not descend from this base" in out
    assert err == ""


def test_json_is_printed_alone(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*folders, "--json", "--threads", "2", "--memory", "1G") == 0
    assert json.loads(capsys.readouterr().out)["experts"] == ["one", "two"]


def test_page_and_picture_are_written(folders: list[str], tmp_path: Path) -> None:
    assert run(*folders, "--html", str(tmp_path / "x.html"), "--png", str(tmp_path / "x.png")) == 0
    assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "x.png").stat().st_size > 0


def test_a_page_that_cannot_be_written_is_an_error(folders: list[str], tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot write"):
        run(*folders, "--html", str(tmp_path / "no" / "x.html"))


@pytest.mark.parametrize(
    ("words", "size"), [((), 512 << 20), (("--memory", "2g"), 2 << 30), (("--memory", "900"), 900)]
)
def test_sizes_are_understood(words: tuple[str, ...], size: int) -> None:
    assert inspect.command.make_context("inspect", ["b", "e", *words]).params["memory"] == size


@pytest.mark.parametrize("words", [("--memory", "lots"), ("--memory", "0M"), ("--threads", "0"), ("--threads", "two")])
def test_nonsense_is_a_usage_error(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "b", "e", *words]) == 2
    assert repr(words[1]) in capsys.readouterr().err


def test_a_base_alone_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "base"]) == 2
    assert "EXPERT" in capsys.readouterr().err


def test_an_error_is_one_message_and_exit_code_1(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", folders[0], folders[0] + "-not-there"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("umm: ")
    assert "not-there" in err


def test_the_verb_itself_imports_nothing_heavy() -> None:
    program = "import sys, node.cli.inspect; print([m for m in ('numpy', 'torch', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
