"""``umm init``: a node is made once, whole, and for its owner alone."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.config import load
from protocol.identity import keyfile
from protocol.identity.keyfile import BACKUP_REMINDER
from tests.node.cli.terminal import in_a_terminal

Output = pytest.CaptureFixture[str]
ADDRESS = "/ip4/192.0.2.7/tcp/7400/p2p/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_node_is_made(home: Path, capsys: Output) -> None:
    assert main(["init"]) == 0
    out, err = capsys.readouterr()
    public = keyfile.load(home / "key.pem").public
    assert out.startswith(f"This node is {public.name}.\n")
    assert public.peer_id in out
    assert public.point.hex() in out
    assert BACKUP_REMINDER in out
    assert "Next:" not in out, "advice is for terminals"
    assert err == ""
    assert mode(home) == 0o700
    assert mode(home / "key.pem") == 0o600
    assert load(home / "config.toml", {}).origins == {}


def test_programs_learn_who_it_is(home: Path, answer: Callable[..., Any]) -> None:
    found = answer("init")
    public = keyfile.load(home / "key.pem").public
    assert (found["name"], found["peer_id"], found["key"]) == (public.name, public.peer_id, public.point.hex())
    assert found["config_written"] is True


def test_at_a_terminal_it_says_what_is_next(home: Path) -> None:
    seen = in_a_terminal("init")
    assert seen.code == 0
    assert "umm key export FILE" in seen.text
    assert "umm doctor" in seen.text


def test_a_node_that_is_there_is_not_touched(made: Path, capsys: Output) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    name = keyfile.load(made / "key.pem").public.name
    assert main(["init"]) == 1
    assert (
        f"{made} is already the node {name}; nothing was changed. For another one set UMM_HOME"
        in capsys.readouterr().err
    )
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before


@pytest.mark.parametrize("kind", ["rubbish", "link", "folder"])
def test_whatever_lies_in_the_place_of_the_key_is_not_touched(home: Path, capsys: Output, kind: str) -> None:
    home.mkdir()
    key = home / "key.pem"
    if kind == "rubbish":
        key.write_text("x")
    elif kind == "link":
        key.symlink_to("gone")
    else:
        key.mkdir()
    assert main(["init"]) == 1
    assert "is already a node; nothing was changed" in capsys.readouterr().err
    assert os.path.lexists(key)


def test_addresses_to_join_through_are_written_into_the_settings(home: Path, capsys: Output) -> None:
    assert main(["init", "--bootstrap", ADDRESS, "--bootstrap", ADDRESS.replace("7400", "7402")]) == 0
    assert load(home / "config.toml", {}).network.bootstrap == (ADDRESS, ADDRESS.replace("7400", "7402"))


@pytest.mark.parametrize(
    "address", ["brave-otter", "/ip4/192.0.2.7/tcp/7400", "/ip4/192.0.2.7/udp/1/quic-v1/p2p/Qm", "/a,b/c"]
)
def test_an_address_that_cannot_be_one_is_refused_before_anything_is_made(
    home: Path, capsys: Output, address: str
) -> None:
    assert main(["init", "--bootstrap", address]) == 1
    assert address in capsys.readouterr().err
    assert not home.exists()


def test_settings_that_were_written_before_are_kept(home: Path, capsys: Output) -> None:
    home.mkdir()
    (home / "config.toml").write_text("# mine\n")
    assert main(["init", "--bootstrap", ADDRESS]) == 1
    assert "write the addresses into it, as bootstrap below [network]" in capsys.readouterr().err
    assert main(["init"]) == 0
    assert "was there before, left as it is" in capsys.readouterr().out
    assert (home / "config.toml").read_text() == "# mine\n"


def test_a_folder_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UMM_HOME", str(tmp_path / "file" / "home"))
    assert main(["init"]) == 1
    assert "cannot be made" in capsys.readouterr().err
