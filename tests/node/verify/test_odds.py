"""What an audit is worth: the formula against counting, and against draws of the real chooser."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.audit import measure, table
from node.verify.audit import choose
from node.verify.odds import PERCENTS, chances, missed, touched_by
from protocol.blobs.kinds import Checkpoint
from protocol.blobs.manifest import FileEntry, Manifest, TensorEntry
from tests.protocol.records.examples import digest


def manifest(tensors: int) -> Manifest:
    entries = tuple(TensorEntry(f"t{i:04}", "F32", (1,), digest("v")) for i in range(tensors))
    return Manifest(Checkpoint(), (FileEntry("config.json", 2, digest("c")),), entries)


@pytest.mark.parametrize("count", [1, 5, 7])
def test_the_formula_counts_the_draws_that_miss(count: int) -> None:
    for touched in range(count + 1):
        for drawn in range(count + 1):
            draws = list(combinations(range(count), drawn))
            bad = sum(all(i >= touched for i in draw) for draw in draws)
            assert missed(count, touched, drawn) == pytest.approx(bad / len(draws))


@given(st.integers(1, 5_000), st.data())
def test_it_is_never_above_the_formula_for_endlessly_many_tensors(count: int, data: st.DataObject) -> None:
    touched, drawn = data.draw(st.integers(0, count)), data.draw(st.integers(0, min(count, 200)))
    assert missed(count, touched, drawn) <= (1 - touched / count) ** drawn + 1e-12


def test_the_largest_models_are_no_trouble() -> None:
    assert missed(262_144, 2_622, 100) == pytest.approx(0.99**100, rel=0.03)


def test_a_cheat_touches_at_least_one_tensor_and_shares_are_rounded_up() -> None:
    assert [touched_by(percent, 30) for percent in PERCENTS] == [1, 2, 3, 15]
    assert touched_by(1, 1) == 1
    assert touched_by(10, 30) == 3


def test_drawing_everything_misses_nothing() -> None:
    assert [chance.slips_through for chance in chances(40, 40)] == [0.0] * 4


@pytest.mark.parametrize("bad", [(3, 4, 1), (3, 1, 4), (3, -1, 1)])
def test_nonsense_is_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        missed(*bad)


def test_a_seed_draws_the_same_tensors_and_another_seed_others() -> None:
    of = manifest(100)
    assert choose(of, 10, 1) == choose(of, 10, 1)
    assert choose(of, 10, 1).tensors != choose(of, 10, 2).tensors
    assert len(set(choose(of, 10).tensors)) == 10


def test_asking_for_more_than_there_is_draws_everything() -> None:
    assert choose(manifest(3), 50).tensors == ("t0000", "t0001", "t0002")


def test_every_tensor_is_drawn_as_often_as_any_other() -> None:
    of, times, drawn = manifest(20), 4_000, 5
    counts = {entry.name: 0 for entry in of.tensors}
    for seed in range(times):
        for name in choose(of, drawn, seed).tensors:
            counts[name] += 1
    expected, spread = times * drawn / 20, (times * 0.25 * 0.75) ** 0.5
    assert all(abs(count - expected) < 5 * spread for count in counts.values())


def test_simulated_cheats_are_found_as_often_as_the_formula_says() -> None:
    rows = list(measure(tensors=60, trials=400, seed=3))
    assert len(rows) == 4 * 5
    assert all(abs(row.deviations) < 5 for row in rows)
    assert all(row.measured == 1.0 for row in rows if row.promised == 1.0)
    assert table(rows, 60).count("\n") == 4 + 20 - 1
