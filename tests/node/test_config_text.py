"""The file of settings to begin with."""

import tomllib
from pathlib import Path

import pytest

from node.config import TABLES, Config, load
from node.config_text import text, toml

ADDRESS = "/ip4/192.0.2.7/tcp/7400/p2p/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"


def uncommented(written: str) -> str:
    """Every setting with its # taken away, and no other comment."""
    lines = written.splitlines()
    names = {name for table in TABLES.values() for name in table}
    return "\n".join(
        bare if (bare := line.removeprefix("# ")).split(" = ")[0] in names else "" if line.startswith("#") else line
        for line in lines
    )


def test_as_it_is_written_it_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text())
    assert load(tmp_path / "config.toml", {}) == Config()


def test_what_is_commented_out_are_the_defaults_and_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(uncommented(text()))
    found = load(tmp_path / "config.toml", {})
    assert [(name, value) for name, value, _ in found.items()] == [(n, v) for n, v, _ in Config().items()]
    assert set(found.origins) == {name for name, _, _ in Config().items()}


def test_addresses_to_join_through_are_written_in(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text([ADDRESS]))
    found = load(tmp_path / "config.toml", {})
    assert found.network.bootstrap == (ADDRESS,)
    assert set(found.origins) == {"network.bootstrap"}


def test_every_setting_says_what_it_means() -> None:
    lines = text().splitlines()
    names = [name for table in TABLES.values() for name in table]
    for name in names:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"# {name} = "))
        assert lines[at - 1].startswith("# "), name


@pytest.mark.parametrize("value", [True, False, 0, 86400, 8 * 10**9, 100 * 10**9, "", 'a "b" \\ c', ("x", "y"), ()])
def test_values_are_spelled_as_toml_reads_them(value: object) -> None:
    from node.sizes import read_size

    found = tomllib.loads(f"x = {toml(value)}")["x"]
    if isinstance(value, int) and isinstance(found, str):
        found = read_size(found, "x")
    assert found == (list(value) if isinstance(value, tuple) else value)
