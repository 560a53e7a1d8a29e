"""What of a contribution must be as in the base, so that no contribution decides for all or stops the merge of all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol.records.contribution import Fault
from umm.checkpoint.config import LAYER_COUNT_KEYS, TEXT_SECTIONS
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.embeddings import embedding_names
from umm.checkpoint.reader import Checkpoint, StoredTensor
from umm.checkpoint.strict import shown
from umm.checkpoint.vocabulary import TOKENIZER_FILE, vocabularies
from umm.listing import inline, lines
from umm.recipe.model import ModelRef

STRUCTURE = ("model_type", "tie_word_embeddings", "vocab_size", *LAYER_COUNT_KEYS)
"""What a merge reads of a config beside the base's."""


class RefusalError(Exception):
    """What is wrong with a contribution."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault


def is_float(tensor: StoredTensor) -> bool:
    """Whether it holds numbers that are merged; other tensors are copied."""
    return Dtype.from_header(tensor.dtype) is not None


def check_tensors(base: Checkpoint, expert: Checkpoint) -> None:
    """The same names, dtypes and shapes."""
    if missing := sorted(base.tensors.keys() - expert.tensors.keys()):
        raise RefusalError(Fault.ARCHITECTURE, f"it lacks tensors of the base: {_names(missing)}")
    if extra := sorted(expert.tensors.keys() - base.tensors.keys()):
        raise RefusalError(Fault.ARCHITECTURE, f"it has tensors that the base lacks: {_names(extra)}")
    odd = [
        f"{shown(name)} is {theirs.dtype} {list(theirs.shape)}, in the base {ours.dtype} {list(ours.shape)}"
        for name, ours in base.tensors.items()
        if (ours.dtype, ours.shape) != ((theirs := expert.tensors[name]).dtype, theirs.shape)
    ]
    if odd:
        raise RefusalError(Fault.ARCHITECTURE, f"its tensors are not like the base's: {lines(odd)}")


def check_copies(base: Checkpoint, expert: Checkpoint) -> None:
    """Masks and counters cannot be merged: they are the base's."""
    for name, tensor in base.tensors.items():
        if not is_float(tensor) and base.raw(name) != expert.raw(name):
            raise changed_copy(tensor)


def changed_copy(tensor: StoredTensor) -> RefusalError:
    """What to say of a tensor of integers that is not the base's."""
    return RefusalError(
        Fault.ARCHITECTURE,
        f"it changes {shown(tensor.name)}, which holds {tensor.dtype} and cannot be merged; keep the base's values",
    )


def check_config(base: Mapping[str, Any], expert: Mapping[str, Any]) -> None:
    """The same structure, as far as a merge reads it."""
    for section in ("", *TEXT_SECTIONS):
        ours, theirs = _section(base, section), _section(expert, section)
        if odd := [key for key in STRUCTURE if ours.get(key) != theirs.get(key)]:
            where = f"{section}.{odd[0]}" if section else odd[0]
            raise RefusalError(
                Fault.ARCHITECTURE, f"its config.json has another {where} than the base's; keep the base's"
            )


def check_vocabulary(base: Checkpoint, folder: Path) -> None:
    """No token that the base lacks: two contributions could mean different ones by the same id."""
    if not (folder / TOKENIZER_FILE).exists():
        return
    if TOKENIZER_FILE not in base.small_files():
        raise RefusalError(Fault.ARCHITECTURE, f"it brings a {TOKENIZER_FILE}, which the base has not; leave it out")
    known = vocabularies({ModelRef("base"): base.folder, ModelRef("expert"): folder})
    ours, theirs = known[ModelRef("base")].spellings, known[ModelRef("expert")].spellings
    shapes = {name: tensor.shape for name, tensor in base.tensors.items()}
    rows = max((shapes[name][0] for name in embedding_names(base.config, shapes)), default=0)
    if new := [text for token, text in theirs.items() if token < rows and token not in ours]:
        raise RefusalError(
            Fault.ARCHITECTURE,
            f"its tokenizer has tokens that the base's lacks: {_names(new)}; another contribution may mean others by "
            "the same ids, so train with the base's tokenizer",
        )


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = config.get(name) if name else config
    return inner if isinstance(inner, dict) else {}


def _names(names: list[str]) -> str:
    return inline([shown(name) for name in names])
