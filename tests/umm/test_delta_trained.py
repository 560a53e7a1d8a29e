"""Models that were really trained: what comes back is the expert, and transformers loads it."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from tests.umm.checkpoints import tiny
from umm.delta import decode, encode, measure
from umm.digest import checkpoint_root

STEPS = 4


def fine_tuned(base: Path, out: Path, rate: float, masters: torch.dtype) -> Path:
    """A few steps of AdamW on random tokens, in ``masters``, saved in the base's dtype."""
    model = LlamaForCausalLM.from_pretrained(base)
    stored = model.dtype
    model.to(masters).train()
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    draw = torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        tokens = torch.randint(0, model.config.vocab_size, (4, 16), generator=draw)
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.to(stored).save_pretrained(out)
    return out


@pytest.mark.must("DLT-4")
@pytest.mark.parametrize(
    ("dtype", "masters"),
    [("bfloat16", "bfloat16"), ("bfloat16", "float32"), ("float16", "float32"), ("float32", "float32")],
)
def test_a_fine_tuned_model_comes_back_to_the_bit(tmp_path: Path, dtype: str, masters: str) -> None:
    base = tiny(tmp_path / "base", dtype=dtype, hidden_size=64, intermediate_size=128)
    expert = fine_tuned(base, tmp_path / "expert", 1e-4, getattr(torch, masters))
    report = encode(base, expert, tmp_path / "delta")
    decode(base, tmp_path / "delta", tmp_path / "back")
    assert checkpoint_root(tmp_path / "back") == checkpoint_root(expert)
    assert report.packed_bytes < report.raw_bytes
    assert measure(base, tmp_path / "delta").norm == report.norm > 0
    theirs = LlamaForCausalLM.from_pretrained(expert).state_dict()
    ours = LlamaForCausalLM.from_pretrained(tmp_path / "back").state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
