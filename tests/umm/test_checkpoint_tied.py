"""Embedding and head as one tensor."""

import pytest

from umm.checkpoint.tied import Tie, tied

EMBED, HEAD = "model.embed_tokens.weight", "lm_head.weight"
LAYER = "model.layers.0.mlp.up_proj.weight"
BOTH = [EMBED, LAYER, HEAD]
ALONE = [EMBED, LAYER]
SAYS, DENIES, SILENT = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}, {"model_type": "gemma"}


def test_models_without_a_head_need_nothing() -> None:
    assert tied([(SAYS, ALONE), (SAYS, ALONE)]) is None


def test_models_with_their_own_heads_are_not_tied() -> None:
    assert tied([(DENIES, BOTH), (DENIES, BOTH)]) is None
    assert tied([(SILENT, BOTH), (SILENT, BOTH)]) is None


@pytest.mark.parametrize("silent_or_not", [SAYS, SILENT, {"text_config": SAYS}])
def test_a_head_saved_beside_its_embedding_is_merged_once(silent_or_not: dict[str, object]) -> None:
    assert tied([(SAYS, ALONE), (silent_or_not, BOTH)]) == Tie(EMBED, HEAD, everywhere=True, borrowers=())


def test_tied_models_that_all_saved_their_head_are_merged_once() -> None:
    assert tied([(SAYS, BOTH), (SAYS, BOTH)]) == Tie(EMBED, HEAD, everywhere=True, borrowers=())


def test_a_tied_model_among_untied_ones_lends_its_embedding() -> None:
    assert tied([(DENIES, BOTH), (SAYS, ALONE), (SAYS, BOTH)]) == Tie(EMBED, HEAD, False, (1, 2))


@pytest.mark.parametrize(
    ("embedding", "head"),
    [
        ("gpt_neox.embed_in.weight", "embed_out.weight"),
        ("transformer.wte.weight", "lm_head.weight"),
        ("model.tok_embeddings.weight", "output.weight"),
        ("model.language_model.embed_tokens.weight", "lm_head.weight"),
        ("shared.weight", "lm_head.weight"),
    ],
)
def test_the_names_of_other_families_are_known(embedding: str, head: str) -> None:
    assert tied([(SAYS, [embedding]), (SAYS, [embedding, head])]) == Tie(embedding, head, True, ())


def test_a_bias_of_the_head_is_not_the_head() -> None:
    assert tied([(SAYS, [EMBED, "lm_head.bias"]), (SAYS, [EMBED, "lm_head.bias"])]) is None


def test_modules_inside_layers_are_no_heads() -> None:
    assert tied([(SAYS, [EMBED, "encoder.layer.0.output.weight"]), (SAYS, [EMBED])]) is None


def test_two_candidates_are_left_alone() -> None:
    names = [EMBED, "encoder.embed_tokens.weight", HEAD]
    assert tied([(SAYS, names), (SAYS, names)]) is None
