"""Budgets and bans."""

import pytest

from protocol.swarm.guard import BAN_SECONDS, MAX_PEERS, RATE, Guard

BURST, PER_SECOND = int(RATE.burst), int(RATE.per_second)


@pytest.mark.must("SWM-15")
def test_a_peer_has_a_burst_and_then_a_rate() -> None:
    guard = Guard()
    assert guard.spend("a", BURST, 0.0)
    assert not guard.spend("a", 1, 0.0)
    assert guard.spend("a", PER_SECOND, 1.0)
    assert not guard.spend("a", 1, 1.0)
    assert guard.spend("b", BURST, 1.0)
    assert not guard.spend("a", BURST + 1, 1e9)


def test_a_clock_that_is_set_back_gives_nothing_away() -> None:
    guard = Guard()
    assert guard.spend("a", BURST, 100.0)
    assert not guard.spend("a", 1, 0.0)
    assert not guard.spend("a", 1, 99.0), "the time between was given for once already"
    assert not guard.spend("a", PER_SECOND + 1, 101.0)
    assert guard.spend("a", PER_SECOND, 101.0)


@pytest.mark.must("SWM-17")
def test_a_ban_ends() -> None:
    guard = Guard()
    guard.ban("a", 10.0)
    assert guard.banned("a", 10.0 + BAN_SECONDS - 1)
    assert not guard.banned("a", 10.0 + BAN_SECONDS)
    assert not guard.banned("b", 10.0)


@pytest.mark.must("SWM-17")
def test_new_ids_wash_away_neither_a_ban_nor_a_debt() -> None:
    guard = Guard()
    guard.ban("banned", 0.0)
    assert guard.spend("indebted", BURST, 0.0)
    for number in range(2 * MAX_PEERS):
        guard.spend(number, 1, number / PER_SECOND)
    assert guard.banned("banned", 2 * MAX_PEERS / PER_SECOND)
    assert not guard.spend("indebted", BURST, 2 * MAX_PEERS / PER_SECOND)
    assert guard.remembered == MAX_PEERS


@pytest.mark.must("SWM-15")
def test_when_all_accounts_are_in_use_a_stranger_waits_for_the_first_that_is_idle() -> None:
    guard = Guard()
    for number in range(MAX_PEERS):
        assert guard.spend(number, PER_SECOND * (number + 1) if number < 2 else BURST, 0.0)
    assert not guard.spend("stranger", 1, 0.0)
    assert not guard.spend("stranger", 1, 0.9)
    assert guard.spend(MAX_PEERS - 1, 1, 0.9), "who has an account is served"
    assert guard.spend("stranger", 1, 1.0)
    assert guard.remembered == MAX_PEERS
