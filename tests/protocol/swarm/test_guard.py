"""Budgets and bans."""

import pytest

from protocol.swarm.guard import BAN_SECONDS, BURST, MAX_PEERS, RATE, Guard


@pytest.mark.must("SWM-15")
def test_a_peer_has_a_burst_and_then_a_rate() -> None:
    guard = Guard()
    assert guard.spend("a", int(BURST), 0.0)
    assert not guard.spend("a", 1, 0.0)
    assert guard.spend("a", int(RATE), 1.0)
    assert not guard.spend("a", 1, 1.0)
    assert guard.spend("b", int(BURST), 1.0)
    assert not guard.spend("a", int(BURST) + 1, 1e9)


def test_a_clock_that_is_set_back_gives_nothing_away() -> None:
    guard = Guard()
    assert guard.spend("a", int(BURST), 100.0)
    assert not guard.spend("a", 1, 0.0)
    assert not guard.spend("a", int(RATE) + 1, 1.0)


@pytest.mark.must("SWM-17")
def test_a_ban_ends() -> None:
    guard = Guard()
    guard.ban("a", 10.0)
    assert guard.banned("a", 10.0 + BAN_SECONDS - 1)
    assert not guard.banned("a", 10.0 + BAN_SECONDS)
    assert not guard.banned("b", 10.0)


@pytest.mark.must("SWM-15")
def test_only_the_last_peers_are_remembered() -> None:
    guard = Guard()
    guard.ban("first", 0.0)
    for number in range(MAX_PEERS):
        guard.spend(number, 1, 0.0)
    assert not guard.banned("first", 0.0)
    assert len(guard._accounts) == MAX_PEERS
