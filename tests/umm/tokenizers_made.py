"""Small real tokenizers, trained by the tokenizers library, and the vocabularies read from them."""

import json
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from umm.checkpoint.vocabulary import Vocabulary

TEXTS = ["the cat sat on the mat", "hello world, hello there", "größe und straße", "日本語 text"] * 5
OTHER_TEXTS = ["the dog ran over the hill", "hello again, world of dogs", "añadir", "日本 dog"] * 5


@cache
def byte_level(size: int = 290, other: bool = False, added: tuple[str, ...] = ("<|end|>",)) -> str:
    """A byte-level BPE like GPT-2's; ``added`` are special tokens after its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(OTHER_TEXTS if other else TEXTS, trainer)
    tokenizer.add_special_tokens(list(added))
    return str(tokenizer.to_str())


@cache
def unigram(size: int = 120) -> str:
    """A metaspace unigram like T5's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        show_progress=False,
        special_tokens=["<unk>", "<s>"],
        unk_token="<unk>",  # noqa: S106
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return str(tokenizer.to_str())


@cache
def sentencepiece_bpe() -> str:
    """A BPE with byte fallback and a space-replacing normalizer like Llama 2's."""
    pieces = [
        "<unk>",
        "<s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *"▁helowrdA",
        "▁h",
        "▁he",
        "ll",
        "▁hello",
        "▁cat",
    ]
    merges = [("▁", "h"), ("▁h", "e"), ("l", "l")]
    model = models.BPE({p: i for i, p in enumerate(pieces)}, merges, unk_token="<unk>", byte_fallback=True)  # noqa: S106
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.add_tokens([AddedToken("▁literal", normalized=False)])
    return str(tokenizer.to_str())


def vocabulary(text: str, config: dict[str, Any] | None = None, where: str = "tokenizer.json") -> Vocabulary:
    """The vocabulary of a tokenizer given as JSON."""
    return Vocabulary.parse(text.encode(), json.dumps(config).encode() if config is not None else None, where)


def words(*tokens: str, added: tuple[str, ...] = ()) -> Vocabulary:
    """A vocabulary of whole words, with ids in the order given and then added tokens."""
    tokenizer = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token=tokens[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(list(added))
    return vocabulary(tokenizer.to_str())
