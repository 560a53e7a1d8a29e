"""What settings are worth for one tensor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umm.errors import RecipeError
from umm.recipe.model import Condition, Gradient, PerLayer
from umm.recipe.settings import resolve

MLP = "model.layers.3.mlp.up_proj.weight"
NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("value", [0.5, 3, True, "text"])
def test_a_scalar_is_itself(value: float | str) -> None:
    assert resolve(value, MLP, 0.3, 3) == value


@pytest.mark.parametrize(
    ("t", "expected"), [(0.0, 0.0), (0.25, 0.5), (0.375, 0.4), (0.5, 0.3), (0.75, 0.7), (1.0, 1.0), (1, 1.0)]
)
def test_a_gradient_is_interpolated_between_evenly_spread_values(t: float, expected: float) -> None:
    assert resolve(Gradient((0.0, 0.5, 0.3, 0.7, 1.0)), MLP, t, None) == pytest.approx(expected, abs=1e-15)


def test_a_gradient_of_one_value_is_that_value() -> None:
    assert resolve(Gradient((0.7,)), MLP, 0.4, None) == 0.7


@pytest.mark.parametrize(("t", "expected"), [(0.0, True), (0.49, True), (0.5, False), (0.99, False), (1.0, True)])
def test_a_gradient_of_switches_picks(t: float, expected: bool) -> None:
    assert resolve(Gradient((True, False, True)), MLP, t, None) is expected


def test_a_gradient_of_words_picks() -> None:
    assert resolve(Gradient(("a", "b", 1.0)), MLP, 0.5, None) == "b"


def test_the_first_matching_condition_wins() -> None:
    setting = (Condition(1.0, "self_attn"), Condition(2.0, "mlp"), Condition(3.0, "up_proj"), Condition(4.0))
    assert resolve(setting, MLP, 0.0, 3) == 2.0
    assert resolve(setting, "model.norm.weight", 0.0, None) == 4.0


@pytest.mark.parametrize("everything", [None, "*"])
def test_a_condition_without_a_filter_or_with_a_star_matches_all(everything: str | None) -> None:
    assert resolve((Condition(1.0, everything),), "lm_head.weight", 0.0, None) == 1.0


def test_no_matching_condition_leaves_the_value_to_a_weaker_level() -> None:
    assert resolve((Condition(1.0, "self_attn"),), MLP, 0.0, 3) is None


def test_a_condition_may_hold_a_gradient_or_a_table() -> None:
    setting = (Condition(Gradient((0.0, 1.0)), "mlp"), Condition(PerLayer((5.0, 6.0), 7.0)))
    assert resolve(setting, MLP, 0.5, 3) == 0.5
    assert resolve(setting, "model.layers.1.self_attn.q_proj.weight", 0.5, 1) == 6.0


def test_a_table_is_looked_up_by_output_layer() -> None:
    table = PerLayer((0.1, 0.2, 0.3), 0.9)
    assert [resolve(table, MLP, 0.5, layer) for layer in (0, 1, 2, None)] == [0.1, 0.2, 0.3, 0.9]


@pytest.mark.parametrize("layer", [-1, 3])
def test_a_layer_beyond_the_table_is_refused(layer: int) -> None:
    with pytest.raises(RecipeError, match="has 3 values"):
        resolve(PerLayer((0.1, 0.2, 0.3), 0.9), MLP, 0.5, layer)


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.floats(0, 1))
def test_a_gradient_stays_within_its_values(values: list[float], t: float) -> None:
    result = resolve(Gradient(tuple(values)), MLP, t, None)
    assert isinstance(result, float)
    assert min(values) <= result <= max(values)


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_a_gradient_begins_and_ends_with_its_first_and_last_value(values: list[float]) -> None:
    gradient = Gradient(tuple(values))
    assert resolve(gradient, MLP, 0.0, None) == values[0]
    assert resolve(gradient, MLP, 1.0, None) == values[-1]


@given(NUMBERS, st.integers(1, 8), st.floats(0, 1))
def test_a_constant_gradient_is_its_constant_exactly(value: float, count: int, t: float) -> None:
    assert resolve(Gradient((value,) * count), MLP, t, None) == value
