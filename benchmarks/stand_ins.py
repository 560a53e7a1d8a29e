"""Small random models in place of those that a recipe names, with tokenizers."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.checkpoints import Kind, Shape, make
from benchmarks.found_recipes import Found

TRAINED = 290  # tokens a stand-in's tokenizer learns; all 256 bytes are among them
SPECIAL = ("<unk>", "<s>", "</s>")
CORPUS = "the merge of two models keeps what both have learned about words, numbers and the names of things"


def furnish(recipe: Found, folder: Path) -> str:
    """Make every model that the recipe names; its text, with folders in place of the names."""
    places = {name: folder / re.sub(r"\W+", "-", name) for name in recipe.models}
    for number, (name, place) in enumerate(places.items()):
        place.mkdir(parents=True, exist_ok=True)
        own = number if recipe.tokenizers_differ else 0
        size = write_tokenizer(place, own, _owned(recipe, name))
        shape = Shape(hidden=32, layers=recipe.layers, heads=4, kv_heads=2, mlp=64, vocabulary=size)
        make(place, Kind(shape, seed=5), number, None)
    return _replace(recipe.text, places)


def _owned(recipe: Found, model: str) -> list[str]:
    """Tokens that this model must know for the recipe's token rules to make sense."""
    owned = []
    for token, rule in recipe.tokens.items():
        source = (rule or {}).get("source")
        if source == model:
            owned.append(token)
        if isinstance(source, Mapping) and source.get("model") == model and "token" in source:
            owned.append(source["token"])
    return owned


def _replace(text: str, places: Mapping[str, Path]) -> str:
    """Names stand as whole YAML values; the longest goes first, since one may begin another."""
    for name in sorted(places, key=len, reverse=True):
        value = re.compile(rf"""(?<=:\s)(["']?){re.escape(name)}\1(?=\s|$)""", re.MULTILINE)
        text = value.sub(json.dumps(str(places[name])).replace("\\", r"\\"), text)
    return text


def write_tokenizer(folder: Path, number: int, special: Iterable[str]) -> int:
    """Train a tiny byte-level BPE tokenizer, different for each number; the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TRAINED,
        special_tokens=[*SPECIAL, f"<|model-{number}|>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = CORPUS.split()
    tokenizer.train_from_iterator([" ".join(words[number % len(words) :] * 3)], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": SPECIAL[0],
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2],
        "chat_template": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return int(tokenizer.get_vocab_size())
