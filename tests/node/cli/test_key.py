"""``umm key``: shown, sealed, restored."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from node.cli import main
from protocol.identity import keyfile
from tests.node.cli.terminal import Terminal

Output = pytest.CaptureFixture[str]


@pytest.fixture
def phrase(tmp_path: Path) -> Path:
    file = tmp_path / "phrase"
    file.write_text("correct horse\nanother line\n")
    return file


def test_the_key_is_shown(made: Path, capsys: Output) -> None:
    public = keyfile.load(made / "key.pem").public
    assert main(["key", "show"]) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in (public.name, public.peer_id, public.point.hex()))
    assert "PRIVATE" not in out


def test_the_public_key_is_shown_as_pem_and_nothing_else(made: Path, capsys: Output) -> None:
    assert main(["key", "show", "--pem"]) == 0
    out = capsys.readouterr().out
    assert load_pem_public_key(out.encode())
    assert out.startswith("-----BEGIN PUBLIC KEY-----\n")


def test_without_a_node_there_is_no_key(home: Path, capsys: Output) -> None:
    assert main(["key", "show"]) == 1
    assert capsys.readouterr().err == (
        f"umm: there is no node in {home}; make one with: umm init (or set UMM_HOME to its folder)\n"
    )


def test_a_backup_brings_the_node_back(
    made: Path, tmp_path: Path, phrase: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any]
) -> None:
    backup = tmp_path / "backup.pem"
    name = answer("key", "export", str(backup), "--passphrase-file", str(phrase))["name"]
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in backup.read_bytes()
    monkeypatch.setenv("UMM_HOME", str(tmp_path / "elsewhere"))
    assert answer("key", "import", str(backup), "--passphrase-file", str(phrase))["name"] == name
    assert keyfile.load(tmp_path / "elsewhere" / "key.pem").public == keyfile.load(made / "key.pem").public
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o700
    assert (tmp_path / "elsewhere" / "config.toml").exists()


def test_a_wrong_passphrase_restores_nothing(
    made: Path, tmp_path: Path, phrase: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    backup = tmp_path / "backup.pem"
    assert main(["key", "export", str(backup), "--passphrase-file", str(phrase)]) == 0
    phrase.write_text("wrong\n")
    monkeypatch.setenv("UMM_HOME", str(tmp_path / "elsewhere"))
    assert main(["key", "import", str(backup), "--passphrase-file", str(phrase)]) == 1
    assert "wrong passphrase?" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_neither_a_backup_nor_a_key_is_overwritten(made: Path, tmp_path: Path, phrase: Path, capsys: Output) -> None:
    backup = tmp_path / "backup.pem"
    words = ["--passphrase-file", str(phrase)]
    assert main(["key", "export", str(backup), *words]) == 0
    before, key = backup.read_bytes(), (made / "key.pem").read_bytes()
    assert main(["key", "export", str(backup), *words]) == 1
    assert "exists already and is not overwritten" in capsys.readouterr().err
    assert main(["key", "import", str(backup), *words]) == 1
    assert "and it is never replaced" in capsys.readouterr().err
    assert (backup.read_bytes(), (made / "key.pem").read_bytes()) == (before, key)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "does not begin with a line"), (b"\nx", "does not begin with a line"), (b"x" * 5000, "does not begin with"),
     (b"\xff\xfe", "is not UTF-8 text"), (None, "cannot be read")],
)  # fmt: skip
def test_a_file_without_a_passphrase_is_refused(
    made: Path, tmp_path: Path, capsys: Output, data: bytes | None, said: str
) -> None:
    if data is not None:
        (tmp_path / "p").write_bytes(data)
    assert main(["key", "export", str(tmp_path / "b"), "--passphrase-file", str(tmp_path / "p")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_what_is_no_backup_is_refused(home: Path, tmp_path: Path, phrase: Path, capsys: Output) -> None:
    for data in (b"", b"rubbish", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n", b"x" * 100_000):
        (tmp_path / "b").write_bytes(data)
        assert main(["key", "import", str(tmp_path / "b"), "--passphrase-file", str(phrase)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
        assert not home.exists()


def test_without_a_terminal_nobody_is_asked(made: Path, tmp_path: Path, capsys: Output) -> None:
    assert main(["key", "export", str(tmp_path / "b")]) == 1
    assert "give --passphrase-file FILE" in capsys.readouterr().err


def test_a_passphrase_is_asked_for_twice_and_not_shown(made: Path, tmp_path: Path) -> None:
    terminal = Terminal("key", "export", str(tmp_path / "b"))
    terminal.until("Passphrase: ")
    terminal.type("secret\n")
    terminal.until("Once more: ")
    terminal.type("secret\n")
    seen = terminal.end()
    assert seen.code == 0
    assert "secret" not in seen.text
    assert keyfile.import_key((tmp_path / "b").read_bytes(), "secret").public == keyfile.load(made / "key.pem").public


def test_who_leaves_at_the_passphrase_has_written_nothing(made: Path, tmp_path: Path) -> None:
    terminal = Terminal("key", "export", str(tmp_path / "b"))
    terminal.until("Passphrase: ")
    terminal.type("\x03")
    seen = terminal.end()
    assert seen.code == 130
    assert seen.text.endswith("umm: interrupted\n")
    assert not (tmp_path / "b").exists()
