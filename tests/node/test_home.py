"""Where a node keeps what it has."""

from pathlib import Path

import pytest

from node.errors import UserError
from node.home import Home


def test_one_variable_moves_everything() -> None:
    home = Home.find({"UMM_HOME": "/srv/umm", "HOME": "/root"})
    assert home == Home(Path("/srv/umm"), Path("/srv/umm/config.toml"))
    kept = {value for name in vars(Home) if isinstance(value := getattr(home, name), Path)}
    assert all(one == home.folder or one.parent == home.folder for one in kept)
    assert home.socket in kept


def test_a_relative_folder_means_the_same_after_the_program_went_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = Home.find({"UMM_HOME": "mine"})
    monkeypatch.chdir("/")
    assert home.folder == tmp_path / "mine"


def test_a_tilde_is_the_users_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Home.find({"UMM_HOME": "~/umm"}).folder == Path("/home/somebody/umm")


def test_the_folder_of_a_user_who_does_not_exist_is_refused() -> None:
    with pytest.raises(UserError, match="UMM_HOME"):
        Home.find({"UMM_HOME": "~nobody-by-this-name/umm"})


@pytest.mark.parametrize("environment", [{}, {"UMM_HOME": ""}])
def test_without_it_the_system_says_where(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/settings")
    home = Home.find(environment)
    assert home.folder.name == "umm"
    assert home.config.name == "config.toml"
    assert home.config.parent.name == "umm"
