"""Embeddings aligned to the output's vocabulary: fallback rules, padding, bits that tiles do not change."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.umm.arrays import ArraySource, bfloat16, everything, in_tiles
from tests.umm.tokenizers_made import byte_level, sentencepiece_bpe, vocabulary, words
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.embeddings import MEAN_BLOCK_ROWS, AlignedTensor, aligned_tensors, embedding_names
from umm.checkpoint.floats import Floats
from umm.checkpoint.output_vocabulary import output_vocabulary
from umm.checkpoint.vocabulary import Vocabulary
from umm.errors import MismatchError, RecipeError
from umm.recipe.model import ModelRef, TokenizerRule, TokenRule

A, B, C = ModelRef("a"), ModelRef("b"), ModelRef("c")
Models = Mapping[ModelRef, tuple[Vocabulary, ArraySource]]


def rows(*numbers: float, width: int = 2) -> ArraySource:
    """An embedding whose rows each repeat one number, with the column's tenth added."""
    columns = np.arange(width, dtype=np.float32) / np.float32(10)
    return ArraySource(np.array(numbers, np.float32)[:, None] + columns)


def align(
    models: Models,
    rule: TokenizerRule | None = None,
    base: ModelRef | None = A,
    tokens: Mapping[str, TokenRule] | None = None,
) -> dict[ModelRef, AlignedTensor]:
    rule = rule or TokenizerRule("union", tokens or {})
    vocabularies = {model: v.within(s.shape[0]) for model, (v, s) in models.items()}
    output = output_vocabulary(rule, next(iter(models)), vocabularies)
    return aligned_tensors(output, rule, base, vocabularies, {model: s for model, (_, s) in models.items()})


def first_column(tensor: AlignedTensor) -> list[float]:
    found: list[float] = everything(tensor)[:, 0].tolist()
    return found


def test_a_model_keeps_its_own_rows_in_the_output_s_order() -> None:
    found = align({A: (words("x", "y", "z"), rows(1, 2, 3)), B: (words("z", "y", "x"), rows(30, 20, 10))})
    assert first_column(found[A]) == [1, 2, 3]
    assert first_column(found[B]) == [10, 20, 30]
    assert found[B].dtype is Dtype.F32


def test_the_base_s_row_stands_in_for_a_token_that_a_model_lacks() -> None:
    models = {A: (words("x", "y"), rows(1, 2)), B: (words("x", "y"), rows(3, 4)), C: (words("x"), rows(5))}
    assert first_column(align(models)[C]) == [5, 2]


def test_the_row_of_the_only_model_that_has_a_token_stands_in() -> None:
    models = {A: (words("x"), rows(1)), B: (words("x"), rows(2)), C: (words("x", "y"), rows(3, 4))}
    found = align(models)
    assert [first_column(found[m]) for m in models] == [[1, 4], [2, 4], [3, 4]]


@pytest.mark.parametrize("base", [A, None])
def test_several_models_are_averaged_when_the_base_lacks_a_token(base: ModelRef | None) -> None:
    models = {A: (words("x"), rows(1)), B: (words("x", "y"), rows(2, 3)), C: (words("x", "y"), rows(4, 6))}
    found = align(models, base=base)
    assert first_column(found[A]) == [1, 4.5]
    assert (first_column(found[B]), first_column(found[C])) == ([2, 3], [4, 6])


def test_without_a_base_two_holders_of_three_are_averaged_for_the_third() -> None:
    models = {A: (words("x", "y"), rows(1, 2)), B: (words("x", "y"), rows(2, 3)), C: (words("x"), rows(4))}
    assert first_column(align(models, base=None)[C]) == [4, 2.5]


def test_averages_are_float32_sums_in_recipe_order_and_one_division() -> None:
    big = {A: 1e8, B: 3.0, C: -1e8}
    models = {m: (words("x", "y"), rows(0, v)) for m, v in big.items()}
    models |= {ModelRef("d"): (words("x"), rows(0))}
    rule = TokenizerRule("union")
    found = align(models, rule, base=None)[ModelRef("d")]
    total = (np.float32(1e8) + np.float32(3)) + np.float32(-1e8)
    assert everything(found)[1, 0] == total / np.float32(3)


def test_a_token_that_no_model_has_is_zero() -> None:
    found = align({A: (words("x"), rows(1)), B: (words("x"), rows(2))}, tokens={"<new>": TokenRule()})
    assert everything(found[A]).tolist() == [rows(1).stored[0].tolist(), [0, 0]]


def test_a_rule_can_ask_for_zero() -> None:
    models = {A: (words("x", "y"), rows(1, 2)), B: (words("x"), rows(3))}
    assert first_column(align(models, tokens={"y": TokenRule("zero")})[B]) == [3, 0]


def test_a_rule_can_name_the_model() -> None:
    models = {A: (words("x", "y"), rows(1, 2)), B: (words("x", "y"), rows(3, 4)), C: (words("x"), rows(5))}
    assert first_column(align(models, tokens={"y": TokenRule("model", B)})[C]) == [5, 4]


def test_a_rule_can_name_a_model_s_token_by_text_or_id() -> None:
    models = {A: (words("x", "y"), rows(1, 2)), B: (words("q", "x"), rows(3, 4))}
    by_text = {
        "<new>": TokenRule("model_token", A, token="y"),  # noqa: S106
        "<2>": TokenRule("model_token", B, token_id=0),
    }
    found = align(models, TokenizerRule("base", by_text))
    assert first_column(found[A]) == [1, 2, 2, 3]
    assert first_column(found[B]) == [4, 2, 2, 3]


@pytest.mark.parametrize(
    ("rule", "row"),
    [
        (TokenRule("model", B, force=True), 4),
        (TokenRule("zero", force=True), 0),
        (TokenRule(force=True), 2),
    ],
)
def test_a_forced_rule_replaces_own_rows(rule: TokenRule, row: float) -> None:
    models = {A: (words("x", "y"), rows(1, 2)), B: (words("x", "y"), rows(3, 4))}
    found = align(models, tokens={"y": rule})
    assert [first_column(found[m]) for m in models] == [[1, row], [3, row]]


@pytest.mark.parametrize(
    "rule",
    [
        TokenRule("model", C),
        TokenRule("model", B),
        TokenRule("model_token", A, token="unheard of"),  # noqa: S106
        TokenRule("model_token", A, token_id=2),
    ],
)
def test_a_rule_that_names_no_row_is_refused(rule: TokenRule) -> None:
    models = {A: (words("x", "y"), rows(1, 2)), B: (words("x"), rows(3))}
    with pytest.raises(RecipeError, match="'y' is to come from"):
        align(models, tokens={"y": rule})


def test_a_rule_that_nobody_needs_is_not_looked_up() -> None:
    models = {A: (words("x"), rows(1)), B: (words("x"), rows(3))}
    assert first_column(align(models, tokens={"x": TokenRule("model", C)})[B]) == [3]


def test_padding_rows_are_the_mean_of_the_aligned_rows() -> None:
    rule = TokenizerRule("union", pad_to_multiple_of=4)
    found = align({A: (words("x", "y"), rows(1, 2)), B: (words("z"), rows(6))}, rule)
    assert first_column(found[A]) == [1, 2, 6, 3]
    assert first_column(found[B]) == [1, 2, 6, 3]


def test_the_mean_is_folded_in_float64_by_blocks() -> None:
    count = 2 * MEAN_BLOCK_ROWS + 5
    data = np.random.default_rng(1).standard_normal((count, 3), dtype=np.float32)
    names = words(*(f"w{i}" for i in range(count)))
    found = align({A: (names, ArraySource(data))}, TokenizerRule("base", pad_to_multiple_of=count + 1))
    total = np.zeros(3)
    for first in range(0, count, MEAN_BLOCK_ROWS):
        block = [r.astype(np.float64) for r in data[first : first + MEAN_BLOCK_ROWS]]
        block += [np.zeros(3)] * (MEAN_BLOCK_ROWS - len(block))
        while len(block) > 1:
            half = len(block) // 2
            block = [x + y for x, y in zip(block[:half], block[half:], strict=True)]
        total = total + block[0]
    assert everything(found[A])[-1].tobytes() == (total / count).astype(np.float32).tobytes()


def test_copied_rows_keep_the_type_and_computed_rows_make_it_float32() -> None:
    half = ArraySource(bfloat16(rows(1, 2).stored.astype(np.float32)))
    short = ArraySource(bfloat16(rows(5).stored.astype(np.float32)))
    found = align({A: (words("x", "y"), half), B: (words("x"), short)})
    assert (found[A].dtype, found[B].dtype) == (Dtype.BF16, Dtype.BF16)
    mixed = align({A: (words("x", "y"), half), B: (words("x"), rows(3))})
    assert (mixed[A].dtype, mixed[B].dtype) == (Dtype.BF16, Dtype.F32)
    assert first_column(mixed[B]) == [3, 2]
    padded = align({A: (words("x", "y"), half)}, TokenizerRule("base", pad_to_multiple_of=4))
    assert padded[A].dtype is Dtype.F32


def test_a_bias_is_aligned_like_a_row_of_one() -> None:
    models = {
        A: (words("x", "y"), ArraySource(np.array([1, 2], np.float32))),
        B: (words("y", "z"), ArraySource(np.array([3, 4], np.float32))),
    }
    found = align(models)
    assert found[A].shape == (3,)
    assert [everything(found[m]).tolist() for m in models] == [[1, 2, 4], [1, 3, 4]]


def test_embeddings_of_different_widths_are_refused() -> None:
    with pytest.raises(MismatchError, match="1×3"):
        align({A: (words("x"), rows(1)), B: (words("x"), rows(2, width=3))})


def test_families_are_aligned_by_bytes() -> None:
    gpt, llama = vocabulary(byte_level()), vocabulary(sentencepiece_bpe())
    models = {A: (gpt, rows(*range(gpt.size))), B: (llama, rows(*range(1000, 1000 + llama.size)))}
    found = align(models, TokenizerRule("base"))
    hello, newline = gpt.by_spelling["Ġhello"], gpt.by_spelling["Ċ"]
    assert first_column(found[B])[hello] == 1000 + llama.by_spelling["▁hello"]
    assert first_column(found[B])[newline] == 1000 + llama.by_spelling["<0x0A>"]
    assert first_column(found[B])[gpt.by_spelling["<|end|>"]] == gpt.by_spelling["<|end|>"]


WORDS = ("p", "q", "r", "s", "t", "u", "v")


@given(
    chosen=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, unique=True), min_size=1, max_size=4),
    width=st.integers(1, 3),
    tile=st.integers(1, 40),
    multiple=st.integers(1, 5),
    based=st.booleans(),
)
def test_tile_boundaries_do_not_change_bits(
    chosen: Sequence[Sequence[str]], width: int, tile: int, multiple: int, based: bool
) -> None:
    rng = np.random.default_rng(5)
    models: dict[ModelRef, tuple[Vocabulary, ArraySource]] = {}
    for k, tokens in enumerate(chosen):
        data: Floats = rng.standard_normal((len(tokens), width), dtype=np.float32)
        stored = ArraySource(bfloat16(data)) if k % 2 else ArraySource(data)
        models[ModelRef(f"m{k}")] = (words(*tokens), stored)
    rule = TokenizerRule("union", pad_to_multiple_of=multiple)
    for tensor in align(models, rule, base=ModelRef("m0") if based else None).values():
        assert in_tiles(tensor, tile).tobytes() == everything(tensor).tobytes()


LLAMA = {
    "model.embed_tokens.weight": (32, 8),
    "model.layers.0.mlp.up_proj.weight": (32, 8),
    "lm_head.weight": (32, 8),
    "model.norm.weight": (8,),
}


@pytest.mark.parametrize(
    ("config", "shapes", "names"),
    [
        ({"vocab_size": 32}, LLAMA, ["lm_head.weight", "model.embed_tokens.weight"]),
        ({"vocab_size": 30}, LLAMA, ["lm_head.weight", "model.embed_tokens.weight"]),
        ({"text_config": {"vocab_size": 32}}, LLAMA, ["lm_head.weight", "model.embed_tokens.weight"]),
        ({}, {"wte.weight": (9, 4), "wpe.weight": (9, 4), "h.0.output.weight": (4, 4)}, ["wte.weight"]),
        (
            {"vocab_size": 9},
            {"embed_out.weight": (9, 4), "gpt_neox.embed_in.weight": (9, 4)},
            ["embed_out.weight", "gpt_neox.embed_in.weight"],
        ),
        (
            {"vocab_size": 9},
            {"lm_head.bias": (9,), "lm_head.weight": (9, 4)},
            ["lm_head.bias", "lm_head.weight"],
        ),
        (
            {"vocab_size": 9},
            {"word_embeddings.weight": (9, 4), "x.dense.weight": (9, 4)},
            ["word_embeddings.weight"],
        ),
        ({"vocab_size": 9}, {"model.norm.weight": (9,)}, []),
    ],
)
def test_embeddings_are_recognised_by_rows_and_confirmed_by_name(
    config: Mapping[str, object], shapes: Mapping[str, tuple[int, ...]], names: list[str]
) -> None:
    assert list(embedding_names(config, shapes)) == names
