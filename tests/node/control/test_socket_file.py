"""One node in one folder: who may open its socket, and what is done about one that a dead node left behind."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.control.socket_file import SocketFile, answers, check_length, target
from node.errors import MachineFault, UserError
from node.home import MAX_SOCKET_BYTES


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """Somebody at a socket; afterwards the file stays, as after a crash."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(path))
        made.listen()
        yield


def bind(file: SocketFile) -> None:
    """What gRPC does."""
    with file.binding(), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(file.path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_only_the_owner_can_open_the_socket_or_the_folder(folder: Path) -> None:
    path = folder / "home" / "deep" / "control.sock"
    before = os.umask(0)
    try:
        with SocketFile.claim(path) as file:
            bind(file)
            assert mode(path) == 0o600
            assert mode(path.parent) == 0o700
        assert os.umask(0) == 0, "the process's own way of making files is as before"
    finally:
        os.umask(before)


def test_the_socket_is_private_from_the_first_moment_on(folder: Path) -> None:
    before = os.umask(0)
    try:
        with SocketFile.claim(folder / "s") as file, file.binding(), socket.socket(socket.AF_UNIX) as made:
            made.bind(str(file.path))
            assert mode(file.path) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("open_to", [0o750, 0o707, 0o701])
def test_a_folder_that_others_can_enter_is_refused_and_left_as_it_is(folder: Path, open_to: int) -> None:
    folder.chmod(open_to)
    with pytest.raises(MachineFault, match=f"chmod 700 {folder}"):
        SocketFile.claim(folder / "s")
    assert mode(folder) == open_to


def test_a_folder_that_is_a_file_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(MachineFault, match="cannot be made"):
        SocketFile.claim(folder / "file" / "s")


def test_a_second_node_is_refused_as_long_as_the_first_one_runs(folder: Path) -> None:
    with SocketFile.claim(folder / "s") as first:
        bind(first)
        with pytest.raises(UserError, match=r"a node is running in .* umm stop"):
            SocketFile.claim(folder / "s")
        assert first.path.exists()
    with SocketFile.claim(folder / "s"):
        pass


def test_whoever_answers_without_a_lock_is_left_alone(folder: Path) -> None:
    with listening(folder / "s"):
        with pytest.raises(UserError, match="a node is running"):
            SocketFile.claim(folder / "s")
        assert answers(folder / "s")


def test_a_socket_of_a_dead_node_is_replaced(folder: Path) -> None:
    with listening(folder / "s"):
        pass
    assert (folder / "s").exists()
    assert not answers(folder / "s")
    with SocketFile.claim(folder / "s") as file:
        bind(file)
    assert not (folder / "s").exists()


def test_a_failed_claim_leaves_the_folder_to_others(folder: Path) -> None:
    with listening(folder / "s"), pytest.raises(UserError):
        SocketFile.claim(folder / "s")
    SocketFile.claim(folder / "s").release()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_never_removed(folder: Path, kind: str) -> None:
    path = folder / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(folder / "elsewhere")
    with pytest.raises(MachineFault, match="not a socket"):
        SocketFile.claim(path)
    assert os.path.lexists(path)


def test_a_socket_that_somebody_else_made_since_is_left_alone(folder: Path) -> None:
    with SocketFile.claim(folder / "s") as file:
        bind(file)
        with listening(folder / "other"):
            (folder / "other").rename(file.path)
            file.release()
            assert answers(file.path)
            file.release()


def test_a_path_that_is_too_long_for_a_socket_is_refused_with_what_to_do() -> None:
    check_length(Path("/" + "x" * (MAX_SOCKET_BYTES - 1)))
    for long in ("/" + "x" * MAX_SOCKET_BYTES, "/" + "ö" * (MAX_SOCKET_BYTES // 2)):
        with pytest.raises(UserError, match="UMM_HOME"):
            check_length(Path(long))
        with pytest.raises(UserError, match="UMM_HOME"):
            SocketFile.claim(Path(long))


def test_nobody_answers_where_there_is_nothing(folder: Path) -> None:
    assert not answers(folder / "s")
    assert not answers(folder / "no" / "s")


def test_a_target_says_every_character_of_a_path() -> None:
    assert target(Path("/a b/c#d%e?f/ö")) == "unix:/a%20b/c%23d%25e%3Ff/%C3%B6"
