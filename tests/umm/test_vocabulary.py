"""Tokens are their bytes: reading tokenizers, matching them across families, and the output's vocabulary."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.umm.tokenizers_made import TEXTS, byte_level, sentencepiece_bpe, unigram, vocabulary, words
from umm.checkpoint.compatible import check_compatible
from umm.checkpoint.output_vocabulary import OUTDATED_FILES, output_vocabulary
from umm.checkpoint.spelling import Spelling
from umm.checkpoint.vocabulary import row_map, vocabularies
from umm.errors import CheckpointError, MismatchError, RecipeError
from umm.recipe.model import ModelRef, TokenizerRule, TokenRule

A, B, C = ModelRef("a"), ModelRef("b"), ModelRef("c")
UNION, BASE = TokenizerRule("union"), TokenizerRule("base")


# Spelling


@given(st.binary(min_size=1, max_size=12))
def test_byte_level_spelling_is_a_bijection(data: bytes) -> None:
    spelling = Spelling("byte-level")
    text = spelling.to_text(data)
    assert text is not None
    assert spelling.to_bytes(text) == data


def test_byte_level_letters_are_those_of_the_tokenizers_library() -> None:
    from tokenizers import pre_tokenizers

    ours = {Spelling("byte-level").to_text(bytes([byte])) for byte in range(256)}
    assert ours == set(pre_tokenizers.ByteLevel.alphabet())


@pytest.mark.parametrize(
    ("tokenizer", "spelling"),
    [
        (byte_level(), Spelling("byte-level")),
        (unigram(), Spelling("metaspace")),
        (sentencepiece_bpe(), Spelling("metaspace", byte_pieces=True)),
        ('{"model": {}, "pre_tokenizer": {"type": "Whitespace"}}', Spelling("literal")),
        (
            '{"model": {}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]}}',
            Spelling("byte-level"),
        ),
        (
            '{"model": {}, "decoder": {"type": "Metaspace", "replacement": "_"}}',
            Spelling("metaspace", "_"),
        ),
    ],
)
def test_the_family_is_read_from_the_tokenizer_s_stages(tokenizer: str, spelling: Spelling) -> None:
    assert Spelling.of(json.loads(tokenizer)) == spelling


@pytest.mark.parametrize(
    ("spelling", "text", "data"),
    [
        (Spelling("byte-level"), "Ġhello", b" hello"),
        (Spelling("byte-level"), "Ċ", b"\n"),
        (Spelling("byte-level"), "two words", b"two words"),
        (Spelling("metaspace"), "▁hello", b" hello"),
        (Spelling("metaspace"), "<0x0A>", b"<0x0A>"),
        (Spelling("metaspace", byte_pieces=True), "<0x0A>", b"\n"),
        (Spelling("literal"), "▁hello", "▁hello".encode()),
    ],
)
def test_each_family_spells_bytes_its_way(spelling: Spelling, text: str, data: bytes) -> None:
    assert spelling.to_bytes(text) == data


# Reading


def test_ids_and_added_tokens_are_those_of_the_tokenizers_library() -> None:
    for text in (byte_level(), unigram(), sentencepiece_bpe()):
        tokenizer = Tokenizer.from_str(text)
        read = vocabulary(text)
        assert {t: i for i, t in read.spellings.items()} == tokenizer.get_vocab(with_added_tokens=True)
        assert {i: t.content for i, t in read.added.items()} == {
            i: t.content for i, t in tokenizer.get_added_tokens_decoder().items()
        }


def test_tokens_that_only_the_settings_add_are_read() -> None:
    config = {"added_tokens_decoder": {"9": {"content": "<pad>", "special": True}, "0": {"content": "x"}}}
    read = vocabulary(json.dumps({"model": {"vocab": {"a": 0, "b": 1}}}), config)
    assert read.spellings == {0: "a", 1: "b", 9: "<pad>"}
    assert read.added[9].flags["special"]


def test_a_folder_without_tokenizer_json_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a")
    with pytest.raises(CheckpointError, match="save_pretrained"):
        vocabularies({A: tmp_path})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"model": {"vocab": 3}},
        {"model": {"vocab": {"a": "0"}}},
        {"model": {"vocab": {"a": True}}},
        {"model": {"vocab": {"a": 0, "b": 0}}},
        {"model": {"vocab": {"a": -1}}},
        {"model": {"vocab": {"a": 10**9}}},
        {"model": {"vocab": {"x" * 70_000: 0}}},
        {"model": {"vocab": {"\ud800": 0}}},
        {"model": {"vocab": [["a", 0.0], ["b"]]}},
        {"model": {"vocab": [[1, 0.0]]}},
        {"model": {"vocab": {}}, "added_tokens": 1},
        {"model": {"vocab": {}}, "added_tokens": [{"content": "a"}]},
        {"model": {"vocab": {}}, "added_tokens": [{"id": 1}]},
        {"model": {"vocab": {}}, "added_tokens": [{"id": 1, "content": "a"}, {"id": 1, "content": "b"}]},
    ],
)
def test_malformed_tokenizers_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"^tokenizer\.json"):
        vocabulary(json.dumps(document))


@pytest.mark.parametrize("decoder", [[], {"x": {"content": "a"}}, {"1": {}}, {"1": "a"}])
def test_malformed_settings_are_refused(decoder: Any) -> None:
    if decoder == []:
        decoder = [1]
    with pytest.raises(CheckpointError, match="tokenizer_config"):
        vocabulary('{"model": {"vocab": {"a": 0}}}', {"added_tokens_decoder": decoder})


def test_models_with_equal_files_share_one_vocabulary(tmp_path: Path) -> None:
    for name, text in (("a", byte_level()), ("b", byte_level()), ("c", unigram())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_text(text)
    found = vocabularies({m: tmp_path / m.path for m in (A, B, C)})
    assert found[A] is found[B]
    assert found[C].spelling.family == "metaspace"


# Row maps


def test_tokens_match_by_bytes_across_families() -> None:
    gpt, llama = vocabulary(byte_level()), vocabulary(sentencepiece_bpe())
    found = row_map(llama, gpt, 10_000)
    by_text = {text: gpt.spellings.get(int(found[i])) for i, text in llama.spellings.items()}
    assert by_text["▁hello"] == "Ġhello"
    assert by_text["▁cat"] == "Ġcat"
    assert by_text["<0x0A>"] == "Ċ"
    assert by_text["<0xC3>"] == "Ã"
    assert by_text["A"] == by_text["<0x41>"] == "A"
    assert by_text["▁literal"] is None
    assert by_text["<s>"] is None


def test_the_same_spelling_is_preferred_among_tokens_of_the_same_bytes() -> None:
    llama = vocabulary(sentencepiece_bpe())
    # The byte piece <0x41> has the lower id, but A is spelled A.
    assert llama.spellings[row_map(words("A"), llama, 10_000)[0]] == "A"
    assert np.array_equal(row_map(llama, llama, 10_000), np.arange(llama.size))
    other_file = vocabulary(sentencepiece_bpe() + " ")
    assert np.array_equal(row_map(llama, other_file, 10_000), np.arange(llama.size))


def test_an_equal_spelling_with_other_bytes_is_not_a_match() -> None:
    gpt, plain = vocabulary(byte_level()), words("Ã", "Ġ")  # one letter, but two bytes or another character
    assert row_map(gpt, plain, 10)[gpt.by_spelling["Ã"]] == -1
    assert row_map(plain, gpt, 1000).tolist() == [gpt.find("Ã", "Ã".encode()) or -1, -1]


def test_tokens_beyond_the_embedding_have_no_row() -> None:
    assert row_map(words("a", "b", "c"), words("c", "b", "a"), 2).tolist() == [-1, 1, 0]


# The output's vocabulary


def test_base_and_path_take_that_model_s_files_as_they_are() -> None:
    models = {A: vocabulary(byte_level()), B: vocabulary(unigram())}
    for rule, model in ((BASE, A), (TokenizerRule(B), B)):
        output = output_vocabulary(rule, A, models)
        assert (output.tokens, output.donor, dict(output.files)) == (models[model], model, {})
        assert output.rows == models[model].size


def test_a_source_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecipeError, match="come from c"):
        output_vocabulary(TokenizerRule(C), A, {A: words("a")})


def test_a_union_appends_what_is_missing_in_recipe_order_then_id_order() -> None:
    models = {A: words("a", "b"), B: words("z", "a", "y", added=("<x>",)), C: words("y", "q", "b")}
    output = output_vocabulary(UNION, A, models)
    assert output.tokens.spellings == dict(enumerate(["a", "b", "z", "y", "<x>", "q"]))
    flags = {t.content: t.flags["special"] for t in output.tokens.added.values()}
    assert flags == {"z": False, "y": False, "<x>": True, "q": False}


def test_rules_add_tokens_that_exist_nowhere() -> None:
    rule = TokenizerRule("union", {"<new>": TokenRule(), "a": TokenRule(), "<2>": TokenRule()})
    output = output_vocabulary(rule, A, {A: words("a"), B: words("b")})
    assert list(output.tokens.spellings.values()) == ["a", "b", "<new>", "<2>"]
    based = output_vocabulary(TokenizerRule("base", rule.tokens), A, {A: words("a"), B: words("b")})
    assert list(based.tokens.spellings.values()) == ["a", "<new>", "<2>"]
    with pytest.raises(RecipeError, match="empty"):
        output_vocabulary(TokenizerRule("base", {"": TokenRule()}), A, {A: words("a")})


def test_the_row_count_is_padded_to_a_multiple() -> None:
    rule = TokenizerRule("union", pad_to_multiple_of=8)
    assert output_vocabulary(rule, A, {A: words("a"), B: words("b")}).rows == 8
    assert output_vocabulary(rule, A, {A: words(*"abcdefgh")}).rows == 8


@pytest.mark.parametrize(
    ("base", "other"),
    [
        (byte_level(), byte_level(other=True, added=("<|end|>", "<|im_start|>"))),
        (byte_level(), sentencepiece_bpe()),
        (sentencepiece_bpe(), byte_level()),
        (unigram(), byte_level(other=True)),
    ],
)
def test_a_union_loads_with_the_ids_it_says(base: str, other: str) -> None:
    output = output_vocabulary(UNION, A, {A: vocabulary(base), B: vocabulary(other)})
    text = output.files["tokenizer.json"].decode()
    loaded = Tokenizer.from_str(text).get_vocab(with_added_tokens=True)
    assert loaded == {t: i for i, t in output.tokens.spellings.items()}
    assert vocabulary(text).spellings == output.tokens.spellings


def test_a_union_knows_every_token_that_can_be_spelled() -> None:
    gpt, llama = vocabulary(byte_level()), vocabulary(sentencepiece_bpe())
    output = output_vocabulary(UNION, A, {A: gpt, B: llama})
    assert output.tokens.by_bytes.keys() >= llama.by_bytes.keys()
    turned = output_vocabulary(UNION, A, {A: llama, B: gpt})
    assert not output.warnings
    assert all("no way to spell" in warning for warning in turned.warnings)


def test_a_union_encodes_the_base_s_texts_as_before_unless_an_appended_token_occurs() -> None:
    base = Tokenizer.from_str(byte_level())
    other = vocabulary(byte_level(added=("<|end|>", "<|im_start|>", "<|im_end|>")))
    output = output_vocabulary(UNION, A, {A: vocabulary(byte_level()), B: other})
    union = Tokenizer.from_str(output.files["tokenizer.json"].decode())
    for text in [*TEXTS, "unseen words, 東京<|end|>\n"]:
        assert union.encode(text).ids == base.encode(text).ids
    assert "<|im_start|>" in union.encode("hello<|im_start|>there").tokens


def test_a_union_loads_in_transformers(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    entry = {"content": "<|end|>", "special": True}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": {"290": entry}}
    base = vocabulary(byte_level(), config)
    output = output_vocabulary(UNION, A, {A: base, B: vocabulary(byte_level(added=("<|im_start|>",)))})
    for name, data in output.files.items():
        (tmp_path / name).write_bytes(data)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.convert_tokens_to_ids("<|im_start|>") == output.tokens.by_spelling["<|im_start|>"]
    assert loaded.encode("hello world") == Tokenizer.from_str(byte_level()).encode("hello world").ids


def test_the_settings_table_of_added_tokens_follows() -> None:
    config = {
        "added_tokens_decoder": {"2": {"content": "<s>"}, "5": {"content": "<late>"}},
        "eos_token": "<s>",
    }
    tokens = json.dumps({"model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 1}}})
    models = {A: vocabulary(tokens, config).within(4), B: words("c")}
    output = output_vocabulary(UNION, A, models)
    written = json.loads(output.files["tokenizer_config.json"])
    assert {i: entry["content"] for i, entry in written["added_tokens_decoder"].items()} == {
        "2": "<s>",
        "3": "c",
    }
    assert written["eos_token"] == "<s>"  # noqa: S105
    assert "vocab.json" in OUTDATED_FILES


def test_settings_without_such_a_table_stay_as_they_are() -> None:
    config = {"eos_token": "a"}
    models = {A: vocabulary(json.dumps({"model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0}}}), config)}
    output = output_vocabulary(UNION, A, {**models, B: words("c")})
    assert json.loads(output.files["tokenizer_config.json"]) == config


@pytest.mark.parametrize("text", [byte_level(), unigram(), words(*"abcdefghij", added=("<x>",)).raw.decode()])
def test_tokens_without_a_row_are_removed_with_a_warning(text: str) -> None:
    whole = vocabulary(text)
    rows = whole.size - 4
    output = output_vocabulary(BASE, A, {A: whole.within(rows)})
    assert output.rows == rows
    assert f"a: its embedding has no row for {whole.size - len(output.tokens.spellings)}" in output.warnings[0]
    loaded = Tokenizer.from_str(output.files["tokenizer.json"].decode())
    assert max(loaded.get_vocab(with_added_tokens=True).values()) == rows - 1
    loaded.encode("the cat")


def test_a_base_whose_ids_have_gaps_cannot_be_extended() -> None:
    gap = vocabulary(json.dumps({"model": {"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "b": 7}}}))
    with pytest.raises(CheckpointError, match="gaps"):
        output_vocabulary(UNION, A, {A: gap, B: words("c")})


UNION_DIGEST = """
import hashlib, sys
from tests.umm.tokenizers_made import vocabulary
from umm.checkpoint.output_vocabulary import output_vocabulary
from umm.recipe.model import ModelRef, TokenizerRule
from pathlib import Path
models = {ModelRef(p): vocabulary(Path(p).read_text()) for p in sys.argv[1:]}
output = output_vocabulary(TokenizerRule("union"), ModelRef(sys.argv[1]), models)
print(hashlib.sha256(output.files["tokenizer.json"]).hexdigest())
"""


def test_a_union_is_the_same_for_every_hash_seed(tmp_path: Path) -> None:
    paths = []
    for i, text in enumerate([byte_level(), byte_level(other=True), unigram()]):
        (tmp_path / f"{i}.json").write_text(text)
        paths.append(str(tmp_path / f"{i}.json"))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", UNION_DIGEST, *paths],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "77")
    ]
    digests = {process.communicate(timeout=60)[0].strip() for process in running}
    models = {ModelRef(p): vocabulary(Path(p).read_text()) for p in paths}
    here = output_vocabulary(UNION, ModelRef(paths[0]), models).files["tokenizer.json"]
    assert digests == {hashlib.sha256(here).hexdigest()}


# Merging without a tokenizer rule


def test_equal_vocabularies_are_compatible_without_a_word() -> None:
    assert check_compatible({A: words("a", "b"), B: words("a", "b")}, 2) == ()


def test_ids_that_mean_different_tokens_are_refused_and_listed() -> None:
    with pytest.raises(MismatchError) as error:
        check_compatible({A: words("a", "b", "c"), B: words("a", "x", "c")}, 3)
    assert "id 1 is 'b' in a, 'x' in b" in str(error.value)
    assert "source: union" in str(error.value)


def test_a_token_with_two_ids_is_refused() -> None:
    with pytest.raises(MismatchError, match="'c' is 2 in a, 3 in b"):
        check_compatible({A: words("a", "b", "c"), B: vocabulary('{"model": {"vocab": {"a": 0, "c": 3}}}')}, 4)


def test_differences_beyond_the_embedding_do_not_matter() -> None:
    assert check_compatible({A: words("a", "b", "c"), B: words("a", "b", "x")}, 2) == ()


def test_tokens_that_only_some_models_have_are_a_warning() -> None:
    (warning,) = check_compatible({A: words("a", "b"), B: words("a", "b", added=("<|im_start|>",))}, 8)
    assert warning.startswith("a lacks 1 tokens that other models have ('<|im_start|>')")


def test_models_without_a_tokenizer_are_accepted_with_a_warning() -> None:
    (warning,) = check_compatible({A: words("a"), B: None}, 1)
    assert "b has no tokenizer.json" in warning
