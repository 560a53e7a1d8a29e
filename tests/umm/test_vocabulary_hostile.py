"""Tokenizers made to break their reader end in an error with a message, never in a traceback."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.umm.tokenizers_made import byte_level, sentencepiece_bpe, unigram, words
from umm.checkpoint.output_vocabulary import output_vocabulary
from umm.checkpoint.spelling import Spelling
from umm.checkpoint.vocabulary import Vocabulary, row_map
from umm.errors import CheckpointError, RecipeError
from umm.recipe.model import ModelRef, TokenizerRule

A, B = ModelRef("a"), ModelRef("b")
UNION, BASE = TokenizerRule("union"), TokenizerRule("base")

SETTINGS = {"eos_token": "</s>", "added_tokens_decoder": {"500": {"content": "<late>", "special": True}}}


def word_pieces() -> str:
    vocab = {"[UNK]": 0, "a": 1, "##b": 2, "ab": 3, "c": 4}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["<s>"])
    return str(tokenizer.to_str())


CHARSMAP = "BAAAAP////8="
"""A table of replacements that holds none; the tokenizers library panics at most others."""

TOKENIZERS = [json.loads(t) for t in (byte_level(), unigram(), sentencepiece_bpe(), word_pieces())]
TOKENIZERS[1]["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": CHARSMAP}
OTHER = words("a", "zebra", "ab", added=("<other>",))

VALUES: list[Any] = [
    None, True, 0, 3, -1, 10**400, 0.5, float("nan"), "", "x", "a b c", "\ud800", [], [5], [[]], ["a", "b"], {},
    {"a": 1}, {"type": ["x"]}, {"type": "ByteLevel"}, {"type": "Metaspace", "replacement": 1},
]  # fmt: skip


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


def use(tokenizer: Any, config: Any) -> None:
    """Everything that a merge does with a stranger's tokenizer, as the base, as another model and cut short."""
    read = Vocabulary.parse(raw(tokenizer), raw(config), "tokenizer.json")
    for rule, models_ in (
        (UNION, {A: OTHER, B: read}),
        (UNION, {A: read, B: OTHER}),
        (BASE, {A: read.within(max(1, read.size - 4))}),
        (TokenizerRule("union", pad_to_multiple_of=8), {A: read.within(3), B: OTHER}),
    ):
        try:
            output = output_vocabulary(rule, A, models_).tokens
        except (CheckpointError, RecipeError) as error:
            assert str(error)  # noqa: PT017 - either outcome is right
            continue
        for vocabulary in models_.values():
            assert len(row_map(output, vocabulary, 100)) == output.size


@settings(max_examples=300)
@given(st.data())
def test_one_changed_node_of_a_tokenizer_never_ends_in_a_traceback(data: st.DataObject) -> None:
    whole = copy.deepcopy([data.draw(st.sampled_from(TOKENIZERS)), SETTINGS])
    node: Any = whole
    while True:
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not (isinstance(node[key], dict | list) and node[key] and data.draw(st.integers(0, 3))):
            break
        node = node[key]
    node[key] = data.draw(st.sampled_from(VALUES))
    try:
        use(*whole)
    except CheckpointError as error:
        assert str(error)  # noqa: PT017 - either outcome is right


def bpe(**changes: Any) -> bytes:
    document: dict[str, Any] = json.loads(sentencepiece_bpe())
    document["model"] |= changes
    return raw(document)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"merges": [5]}, "two tokens"),
        ({"merges": ["a b c"]}, "two tokens"),
        ({"merges": [["a"]]}, "two tokens"),
        ({"merges": [["a", 5]]}, "two tokens"),
        ({"merges": [["a", []]]}, "two tokens"),
        ({"merges": [None]}, "two tokens"),
        ({"merges": None}, "list"),
        ({"merges": "ab"}, "list"),
        ({"merges": {"a": "b"}}, "list"),
        ({"continuing_subword_prefix": 5}, "continuing_subword_prefix"),
        ({"continuing_subword_prefix": ["#"]}, "continuing_subword_prefix"),
        ({"continuing_subword_prefix": "x", "merges": [["a", "é"]]}, "beginning with 'x'"),
    ],
)
def test_malformed_merges_are_refused(changes: dict[str, Any], named: str) -> None:
    read = Vocabulary.parse(bpe(**changes), None, "tokenizer.json")
    with pytest.raises(CheckpointError, match=rf"^tokenizer\.json.*{named}"):
        output_vocabulary(BASE, A, {A: read.within(read.size - 4)})


def test_merges_inside_of_words_stay_without_their_prefix() -> None:
    vocab = {"<unk>": 0, "a": 1, "##b": 2, "ab": 3, "##c": 4, "abc": 5}
    whole = bpe(vocab=vocab, merges=["a ##b", ["ab", "##c"]], continuing_subword_prefix="##")
    document = {**json.loads(whole), "added_tokens": []}
    output = output_vocabulary(BASE, A, {A: Vocabulary.parse(raw(document), None, "tokenizer.json").within(5)})
    assert json.loads(output.files["tokenizer.json"])["model"]["merges"] == ["a ##b"]


@pytest.mark.parametrize("charsmap", ["", "AAAA", "/////w=="])
def test_a_panic_of_the_tokenizers_library_is_an_error(charsmap: str) -> None:
    document = json.loads(byte_level())
    document["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": charsmap}
    with pytest.raises(CheckpointError, match="does not load"):
        output_vocabulary(UNION, A, {A: Vocabulary.parse(raw(document), None, "tokenizer.json"), B: OTHER})


@pytest.mark.parametrize("half", ["\ud800", "a\udfffb"])
def test_half_a_surrogate_pair_is_refused_wherever_it_is(half: str) -> None:
    document = json.loads(byte_level())
    settings_ = {"eos_token": half}
    for changed in ({**document, "normalizer": {"type": "Prepend", "prepend": half}}, {**document, half: 1}):
        with pytest.raises(CheckpointError, match="surrogate"):
            Vocabulary.parse(raw(changed), None, "tokenizer.json")
    with pytest.raises(CheckpointError, match="surrogate"):
        Vocabulary.parse(raw(document), raw(settings_), "tokenizer.json")


def test_whole_surrogate_pairs_are_text() -> None:
    text = r'{"model": {"vocab": {"\ud83d\ude00": 0, "\\ud800": 1}}}'
    assert Vocabulary.parse(text.encode(), None, "tokenizer.json").spellings == {0: "😀", 1: r"\ud800"}


def test_a_stage_whose_type_is_no_text_is_not_a_family() -> None:
    assert Spelling.of({"decoder": {"type": ["ByteLevel"]}, "normalizer": {"type": {}}}) == Spelling("literal")
