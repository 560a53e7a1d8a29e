"""``umm sign``: the node's name under a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from protocol.identity import keyfile
from protocol.modelsigning import verify_folder
from tests.node.cli.terminal import in_a_terminal

Output = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1000))
    return folder


def test_a_folder_is_signed_and_verifies(made: Path, model: Path, capsys: Output) -> None:
    assert main(["sign", str(model)]) == 0
    out, err = capsys.readouterr()
    public = keyfile.load(made / "key.pem").public
    assert out == f"{model}/model.sig: 2 files, 1.0 KB, signed by {public.name}\n"
    assert err == ""
    report = verify_folder(model, (model / "model.sig").read_bytes(), public)
    assert report.files == 2


def test_signing_again_replaces_the_signature(made: Path, model: Path, answer: Callable[..., Any]) -> None:
    answer("sign", str(model))
    (model / "config.json").write_text('{"a": 1}')
    found = answer("sign", str(model))
    assert found["bytes"] == 1008
    verify_folder(model, (model / "model.sig").read_bytes(), keyfile.load(made / "key.pem").public)


def test_at_a_terminal_it_says_how_anybody_can_check(made: Path, model: Path) -> None:
    seen = in_a_terminal("sign", str(model))
    assert f"model_signing verify key {model} --signature {model}/model.sig --public_key " in seen.text
    assert "umm key show --pem > " in seen.text


@pytest.mark.parametrize("what", ["gone", "empty", "link"])
def test_what_cannot_be_signed_is_refused(made: Path, tmp_path: Path, model: Path, capsys: Output, what: str) -> None:
    folder = tmp_path / what
    if what != "gone":
        folder.mkdir()
    if what == "link":
        (folder / "model.safetensors").symlink_to(model / "model.safetensors")
    assert main(["sign", str(folder)]) == 1
    assert what in capsys.readouterr().err
    assert not (folder / "model.sig").exists()


def test_without_a_node_nothing_is_signed(home: Path, model: Path, capsys: Output) -> None:
    assert main(["sign", str(model)]) == 1
    assert "umm init" in capsys.readouterr().err
