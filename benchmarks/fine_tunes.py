"""Small models that are really trained, to measure what deltas cost: a base, and full fine-tunes of it.

The models are Llamas that read single characters and answer the riddles of ``node.demo``. A base is trained on two
kinds of them; every expert goes on with AdamW from the base as it is stored, mostly on one kind.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from node.demo.models import ALPHABET, addition, distance, tokenizer, train

BASE_STEPS = 400
EXPERT_STEPS = 250
BASE_RATE = 1e-3
RATES = (1e-5, 1e-4, 1e-3)

SHAPE = {"hidden_size": 192, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4}


@dataclass(frozen=True)
class FineTune:
    """One expert: the dtype that it is stored in, the dtype that it was trained in, the learning rate."""

    stored: str
    trained: str
    rate: float

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.stored}-from-{self.trained}-{self.rate:g}"


FINE_TUNES = [
    FineTune(stored, trained, rate)
    for stored, trained in (("bfloat16", "float32"), ("bfloat16", "bfloat16"), ("float32", "float32"))
    for rate in RATES
]


def make(folder: Path) -> None:
    """Train and save the bases, one for each dtype, and the experts; what is there already is kept."""
    torch.manual_seed(0)
    if not (folder / "base-float32").is_dir():
        shape = LlamaConfig(
            vocab_size=len(ALPHABET),
            max_position_embeddings=32,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            **SHAPE,
        )
        model = train(LlamaForCausalLM(shape), [addition, distance], BASE_STEPS, BASE_RATE, 1)
        _save(model.to(torch.bfloat16), folder / "base-bfloat16")
        _save(model.to(torch.float32), folder / "base-float32")  # the same values in both
    for tune in FINE_TUNES:
        if not (folder / tune.name).is_dir():
            model = LlamaForCausalLM.from_pretrained(folder / f"base-{tune.stored}")
            model.to(getattr(torch, tune.trained)).train()
            train(model, [addition, addition, distance], EXPERT_STEPS, tune.rate, 2)
            _save(model.to(getattr(torch, tune.stored)), folder / tune.name)


def _save(model: LlamaForCausalLM, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
