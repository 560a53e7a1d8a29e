"""Measures against closed forms, and what cautions they give rise to."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from umm.errors import MismatchError
from umm.inspection import shares
from umm.inspection.caution import Caution, Level, cautions
from umm.inspection.kind import Kind, kind_of
from umm.inspection.lineup import Subject, Vocabulary, line_up
from umm.inspection.report import Look, Report, top_rows
from umm.inspection.spectrum import SAMPLE_ELEMENTS, SAMPLE_ROWS, sample_rows, spectrum
from umm.inspection.sums import BLOCK, Doubles, Floats, bfloat16, measure, nothing, total
from umm.listing import LISTED

KINDS = {
    Kind.QUERY: "model.layers.3.self_attn.q_proj.weight",
    Kind.KEY: "model.layers.3.self_attn.k_proj.bias",
    Kind.VALUE: "encoder.block.0.layer.0.SelfAttention.v.weight",
    Kind.FUSED: "gpt_neox.layers.1.attention.query_key_value.weight",
    Kind.OUTPUT: "gpt_neox.layers.1.attention.dense.weight",
    Kind.GATE: "model.layers.0.block_sparse_moe.experts.5.w1.weight",
    Kind.UP: "model.layers.0.mlp.fc1.weight",
    Kind.DOWN: "transformer.h.0.mlp.c_proj.weight",
    Kind.NORM: "model.layers.0.self_attn.q_norm.weight",
    Kind.EMBEDDING: "transformer.wte.weight",
    Kind.HEAD: "lm_head.weight",
    Kind.OTHER: "model.layers.0.block_sparse_moe.gate.weight",
}


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_a_name_tells_the_kind(kind: Kind, name: str) -> None:
    assert kind_of(name) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("transformer.h.0.attn.c_proj.weight", Kind.OUTPUT),
        ("encoder.block.0.layer.1.DenseReluDense.wo.weight", Kind.DOWN),
        ("encoder.block.0.layer.0.SelfAttention.o.weight", Kind.OUTPUT),
        ("transformer.word_embeddings_layernorm.weight", Kind.NORM),
        ("transformer.h.0.ln_1.bias", Kind.NORM),
        ("output.weight", Kind.HEAD),
        ("weight", Kind.OTHER),
    ],
)
def test_a_name_of_two_meanings_is_told_by_what_holds_it(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind


def floats(*values: float) -> Floats:
    return np.array(values, np.float32)


def test_opposite_deltas_have_cosine_minus_one_and_conflict_everywhere() -> None:
    sums = measure(floats(3, 4), np.stack([floats(1, -2), floats(-1, 2)]))
    assert shares.cosine(sums, 0, 1) == -1
    assert shares.conflict(sums) == 1
    assert shares.chance(sums) == 0.5
    assert shares.relative(sums) == (sqrt(5) / 5, sqrt(5) / 5)
    assert shares.reach(sums) == (0, 0)


def test_deltas_on_different_positions_contest_nothing() -> None:
    sums = measure(floats(1, 1, 1), np.stack([floats(1, 0, 0), floats(0, -3, 0)]))
    assert shares.cosine(sums, 0, 1) == 0
    assert shares.conflict(sums) is None
    assert shares.chance(sums) is None
    assert shares.zeros(sums) == (2 / 3, 2 / 3)
    assert sums.peak.tolist() == [1, 3]
    assert sums.active.tolist() == [1, 2, 0]


def test_an_unchanged_expert_has_no_angle_and_swallows_nothing() -> None:
    sums = measure(floats(1, 2), np.stack([floats(0, 0), floats(1, 1)]))
    assert shares.cosines(sums) == ((None, None), (None, 1.0))
    assert shares.swallowed(sums) == (None, 0.0)
    assert shares.relative(sums)[0] == 0


def test_a_base_of_zeros_has_no_relative_norm() -> None:
    sums = measure(floats(0, 0), floats(1, 1)[None])
    assert shares.relative(sums) == (None,)
    assert shares.reach(sums) == (None, None)


def test_a_change_below_half_a_step_of_bfloat16_is_swallowed() -> None:
    # bfloat16 steps by 2⁻⁷ at 1.0; in a mean of two a change of 2⁻⁷ is half a step, a tie that goes to even.
    sums = measure(floats(1, 1), np.stack([floats(2**-7, 2**-5), floats(0, 0)]))
    assert sums.swallowed.tolist() == [1, 0]


def test_bfloat16_rounds_to_nearest_even() -> None:
    values = floats(1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 2**-8)
    assert bfloat16(values).tolist() == [0x3F80, 0x3F82, 0x3F81, 0xBF80]


def test_nan_and_infinity_are_noticed() -> None:
    assert not measure(floats(np.nan), floats(0)[None]).finite
    with np.errstate(invalid="ignore"):
        assert not measure(floats(0), floats(np.inf)[None]).finite


@given(
    arrays.arrays(np.float32, (4, 3 * BLOCK // 2), elements=st.floats(-8, 8, width=16)),
    st.integers(1, 3 * BLOCK // 2 - 1),
)
def test_sums_of_parts_add_up_to_the_whole(values: Floats, cut: int) -> None:
    whole = measure(values[0], values[1:])
    halves = total([measure(values[0, s], values[1:, s]) for s in (slice(cut), slice(cut, None))], 3)
    assert halves.count == whole.count
    assert halves.conflicts == whole.conflicts
    for one, other in (
        ("peak", "peak"),
        ("zeros", "zeros"),
        ("swallowed", "swallowed"),
        ("active", "active"),
    ):
        assert np.array_equal(getattr(halves, one), getattr(whole, other))
    np.testing.assert_allclose(halves.gram, whole.gram, rtol=1e-12, atol=1e-9)
    assert (nothing(3) + whole).conflicts == whole.conflicts


@given(arrays.arrays(np.float32, (5, 64), elements=st.floats(-8, 8, width=16)))
def test_shares_stay_in_range_and_agree_with_numpy(values: Floats) -> None:
    sums = measure(values[0], values[1:])
    deltas: Doubles = values[1:].astype(np.float64)
    for i in range(4):
        for j in range(4):
            angle = shares.cosine(sums, i, j)
            assert angle is None or -1 <= angle <= 1
            assert angle == shares.cosine(sums, j, i)
    up, down = (deltas > 0).sum(axis=0), (deltas < 0).sum(axis=0)
    contested = up + down >= 2
    expected = float(((up > 0) & (down > 0))[contested].mean()) if contested.any() else None
    assert shares.conflict(sums) == pytest.approx(expected)
    np.testing.assert_allclose(shares.norms(sums), np.linalg.norm(deltas, axis=1), rtol=1e-12)


def test_a_delta_of_rank_one_is_all_concentration() -> None:
    found = spectrum(np.outer(floats(1, 2, 3), floats(1, -1, 2, 5)))
    assert found is not None
    assert found.top == pytest.approx(1)
    assert found.rank == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shape", [(6, 6), (6, 11), (11, 6)])
def test_equal_directions_count_as_many_as_they_are(shape: tuple[int, int]) -> None:
    found = spectrum(np.eye(*shape, dtype=np.float32) * np.float32(1e-30))
    assert found is not None
    assert found.top == pytest.approx(1 / 6)
    assert found.rank == pytest.approx(6)
    assert spectrum(np.zeros(shape, np.float32)) is None


@pytest.mark.parametrize(
    ("shape", "rows"),
    [
        ((7,), 0),
        ((1, 9), 0),
        ((9, 1), 0),
        ((5, 9), 5),
        ((SAMPLE_ROWS * 3, 8), SAMPLE_ROWS),
        ((99, SAMPLE_ELEMENTS // 4), 4),
        ((9, SAMPLE_ELEMENTS), 0),
    ],
)
def test_a_sample_is_bounded_ascending_and_repeats(shape: tuple[int, ...], rows: int) -> None:
    chosen = sample_rows(shape)
    assert len(chosen) == rows
    assert np.all(np.diff(chosen) > 0)
    assert np.array_equal(chosen, sample_rows(shape))


def test_row_energies_tell_spikes_from_an_even_spread() -> None:
    even, spiked = np.ones(200), np.zeros(200)
    spiked[[7, 3]] = 5, 9
    assert top_rows(np.zeros(200)) is None
    flat, spikes = top_rows(even), top_rows(spiked)
    assert flat is not None
    assert flat.share == pytest.approx(0.01)
    assert spikes is not None
    assert spikes.share == 1
    assert spikes.top[:2] == (3, 7)


def test_a_different_vocabulary_is_cut_and_a_tied_head_left_out() -> None:
    embed, head = "model.embed_tokens.weight", "lm_head.weight"
    lineup = line_up({embed: (10, 4)}, {"a": {embed: (12, 4), head: (12, 4)}}, None)
    assert lineup.subjects == (Subject(embed, None, Kind.EMBEDDING, (10, 4)),)
    assert lineup.vocabularies == (Vocabulary(embed, 10, (12,)),)
    assert lineup.tied == (head,)


def test_tensors_that_do_not_line_up_are_all_listed() -> None:
    with pytest.raises(MismatchError) as caught:
        line_up(
            {"x.weight": (2, 2), "y": (3,)},
            {"a": {"x.weight": (2, 3)}, "b": {"x.weight": (2, 2), "z": ()}},
            None,
        )
    message = str(caught.value)
    assert "x.weight: [2, 2] in the base, [2, 3] in a" in message
    assert "y: missing in a, b" in message
    assert "z: in b but not in the base" in message


def test_a_long_list_of_mismatches_is_cut() -> None:
    with pytest.raises(MismatchError, match=f"and {100 - LISTED} more"):
        line_up({f"t{i}": (1,) for i in range(100)}, {"a": {}}, None)


def report_on(base: Floats, *deltas: Floats, name: str = "model.layers.0.mlp.up_proj.weight") -> Report:
    subject = Subject(name, 0, kind_of(name), base.shape)
    nobody = (None,) * len(deltas)
    looks = (Look(subject, measure(base, np.stack(deltas)), nobody, nobody),)
    return Report("base", tuple("abcdefghij"[: len(deltas)]), looks)


def normal(seed: int, size: float) -> Floats:
    values = np.random.default_rng(seed).standard_normal(1 << 14) * size
    return values.astype(np.float32)


def codes(report: Report) -> list[str]:
    return [caution.code for caution in cautions(report)]


def test_experts_close_to_the_base_that_agree_give_no_caution() -> None:
    shared = normal(1, 0.04)
    assert codes(report_on(normal(0, 1), shared + normal(2, 0.03), shared + normal(3, 0.03))) == []


@pytest.mark.parametrize(
    ("sizes", "code", "level"),
    [
        ((0.2, 0.2), "left-the-basin", Level.DANGER),
        ((0.2,), "far-from-base", Level.DANGER),
        ((0.12,), "far-from-base", Level.CAUTION),
        ((1.4,), "unrelated", Level.DANGER),
        ((0.0, 0.05), "equals-base", Level.CAUTION),
        ((0.0005, 0.05), "swallowed", Level.CAUTION),
        ((0.06, 0.06, 0.06, 0.06), "sign-conflict", Level.CAUTION),
        ((0.09, 0.09, 0.09), "sum-overshoots", Level.CAUTION),
    ],
)
def test_distances_and_signs_give_their_cautions(sizes: tuple[float, ...], code: str, level: Level) -> None:
    report = report_on(normal(0, 1), *(normal(1 + i, size) for i, size in enumerate(sizes)))
    assert (code, level) in [(caution.code, caution.level) for caution in cautions(report)]


@pytest.mark.parametrize(("noise", "what"), [(0.0, "two experts are one"), (0.01, "nearly the same")])
def test_copies_are_named(noise: float, what: str) -> None:
    delta = normal(1, 0.05)
    found = [c for c in cautions(report_on(normal(0, 1), delta, delta + normal(2, noise))) if c.code == "near-copy"]
    assert len(found) == 1
    assert what in found[0].what
    assert found[0].where == "a and b"


def test_one_far_place_in_a_near_expert_is_named() -> None:
    near = report_on(normal(0, 1), normal(1, 0.02))
    far = report_on(normal(2, 0.1), normal(3, 0.03)).looks[0]
    elsewhere = replace(far, subject=replace(far.subject, layer=7, kind=Kind.QUERY))
    found = cautions(replace(near, looks=(*near.looks, elsewhere)))
    assert [caution.code for caution in found] == ["far-in-places"]
    assert "layer 7 attn.q 0.30" in found[0].evidence


def test_spikes_vocabularies_and_tied_heads_are_named() -> None:
    name = "model.embed_tokens.weight"
    plain = report_on(normal(0, 1), normal(1, 0.05), name=name)
    look = replace(plain.looks[0], rows=(top_rows(np.eye(200)[17]),))
    report = replace(plain, looks=(look,), vocabularies=(Vocabulary(name, 10, (12,)),), tied=("lm_head.weight",))
    found = {caution.code: caution for caution in cautions(report)}
    assert list(found) == ["vocabulary", "spikes", "tied-head"]
    assert "token ids 17" in found["spikes"].evidence
    assert "10 rows in the base, 12 in a" in found["vocabulary"].evidence


def test_a_caution_reads_as_what_where_evidence_and_advice() -> None:
    assert str(Caution("c", Level.NOTE, "what", "where", "evidence", "Advice.")) == "what (where): evidence. Advice."
