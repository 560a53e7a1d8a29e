"""What the doctor finds on this machine."""

import os
import socket
from pathlib import Path

import pytest

from node.config import Config, Network
from node.doctor import local, ports, software
from node.doctor.finding import Finding, State
from node.home import Home
from protocol.identity import keyfile


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "home"
    folder.mkdir(0o700)
    return Home(folder, folder / "config.toml")


def test_a_finding_has_a_fix_if_and_only_if_it_is_not_well() -> None:
    with pytest.raises(ValueError, match="a fix if and only if"):
        Finding("x", State.FAIL, "it is broken")
    with pytest.raises(ValueError, match="a fix if and only if"):
        Finding("x", State.OK, "it works", "do something")


def test_settings_that_cannot_be_read_fail_and_the_defaults_are_looked_at(home: Home) -> None:
    finding, config = local.settings(home, {})
    assert (finding.state, finding.found, config) == (State.OK, "all defaults, there is no file", Config())
    home.config.write_text("[storage]\nqota = 1\n")
    finding, config = local.settings(home, {})
    assert (finding.state, config) == (State.FAIL, Config())
    assert "did you mean quota?" in finding.found
    assert str(home.config) in finding.fix
    assert local.settings(home, {"UMM_NETWORK_CLIENT": "maybe"})[0].state is State.FAIL


def test_a_key_that_others_can_read_fails_with_the_command_that_mends_it(home: Home) -> None:
    assert local.key(home).fix.startswith("umm init")
    keyfile.create(home.key)
    assert local.key(home).state is State.OK
    home.key.chmod(0o640)
    finding = local.key(home)
    assert (finding.state, finding.fix) == (State.FAIL, f"chmod 600 {home.key}")
    home.key.chmod(0o600)
    home.key.write_text("rubbish")
    assert "restore it" in local.key(home).fix


def test_a_folder_that_others_can_enter_fails(home: Home) -> None:
    assert local.folder(home.folder).state is State.OK
    home.folder.chmod(0o755)
    assert local.folder(home.folder).fix == f"chmod 700 {home.folder}"
    assert local.folder(home.folder / "gone").fix == "umm init makes it"
    assert local.folder(Path("/proc")).state is State.FAIL


def test_a_disk_without_room_for_the_quota_is_worth_a_warning(home: Home) -> None:
    assert local.disk(home.store, 10**9, free=5 * 10**9).state is State.OK
    finding = local.disk(home.store, 100 * 10**9, free=50 * 10**9)
    assert (finding.state, finding.found) == (State.WARN, "50.0 GB free, the quota is 100.0 GB")
    assert 'quota = "45GB"' in finding.fix
    assert local.disk(home.store, 10**9, free=10**9).state is State.FAIL


def test_what_is_stored_already_counts_towards_the_quota(home: Home) -> None:
    home.store.mkdir()
    (home.store / "blob").write_bytes(os.urandom(10**6))
    assert local.disk(home.store, 3 * 10**9, free=3 * 10**9 - 900_000).state is State.OK
    assert local.disk(home.store, 3 * 10**9, free=3 * 10**9 - 2 * 10**6).state is State.WARN


def test_memory_that_is_not_there_is_not_given_away() -> None:
    assert local.memory(8 * 10**9, there=16 * 10**9).state is State.OK
    finding = local.memory(8 * 10**9, there=4 * 10**9)
    assert (finding.state, finding.found) == (State.WARN, "4.0 GB, of which a merge may use 8.0 GB")
    assert 'memory = "2800MB"' in finding.fix


def test_a_steward_needs_room_for_all_that_may_come() -> None:
    assert local.room("T", 10**9, quota=2 * 10**9, free=2 * 10**9).state is State.OK
    finding = local.room("T", 5 * 10**9 + 1, quota=2 * 10**9, free=9 * 10**9)
    assert (finding.state, 'quota = "6GB"' in finding.fix) == (State.WARN, True)
    assert local.room("T", 5 * 10**9, quota=9 * 10**9, free=10**9).fix.startswith("free some disk")


# -- ports -----------------------------------------------------------------------------------------------------------


def test_only_ports_that_were_chosen_are_looked_at() -> None:
    network = Network(
        listen=("/ip4/127.0.0.1/tcp/7400", "/ip6/::/tcp/7401", "/ip4/0.0.0.0/tcp/0", "/rubbish", "x"),
        exchange_listen="[::1]:7402",
    )
    assert [(d.setting, d.family, d.host, d.port) for d in ports.doors(network)] == [
        ("listen", socket.AF_INET, "127.0.0.1", 7400),
        ("listen", socket.AF_INET6, "::", 7401),
        ("exchange_listen", socket.AF_INET6, "::1", 7402),
    ]
    assert not list(ports.doors(Network(listen=(), exchange_listen="")))


def test_a_port_that_is_taken_names_who_holds_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        door = ports.Door("listen", socket.AF_INET, "127.0.0.1", number)
        finding = ports.port(door, running=False)
        assert finding.state is State.FAIL
        assert "Address already in use" in finding.found
        if Path("/proc/net/tcp").exists():
            assert f"(process {os.getpid()})" in finding.found
        assert "change listen below [network]" in finding.fix
    assert ports.port(door, running=False).state is State.OK


def test_a_running_node_holds_its_own_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        door = ports.Door("listen", socket.AF_INET, "127.0.0.1", taken.getsockname()[1])
        assert ports.port(door, running=True).state is State.OK


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    door = ports.Door("listen", socket.AF_INET, "192.0.2.1", 7400)
    assert ports.port(door, running=False).state is State.FAIL


def test_a_table_of_sockets_that_is_rubbish_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_bytes(b"\xff\x00 rubbish\n" * 100)
    assert ports.holder(1, tmp_path) is None
    line = "   0: 0100007F:1CE8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4711 1 0 100 0 0 10 0\n"
    (tmp_path / "net" / "tcp").write_text(line)
    process = tmp_path / "42"
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("p2pd\n")
    assert ports.holder(0x1CE8, tmp_path) is None
    (process / "fd" / "7").symlink_to("socket:[4711]")
    assert ports.holder(0x1CE8, tmp_path) == "p2pd (process 42)"
    assert ports.holder(0x1CE9, tmp_path) is None


# -- software --------------------------------------------------------------------------------------------------------


def test_this_machine_can_run_it() -> None:
    assert software.python().state is State.OK
    assert software.python((3, 10, 2)).fix == "use Python 3.11 or newer"
    found = software.cryptography()
    assert found.state is State.OK
    assert "OpenSSL" in found.found
    assert "backend numba" in software.loops().found
