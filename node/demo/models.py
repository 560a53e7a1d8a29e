"""Small models that really learn: a base, and three experts of it, each for one kind of riddle.

They are Llamas of 120,000 parameters that read single characters; the base half knows all three kinds. Training them
takes about half a minute on two cores and downloads nothing.
"""

import random
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

ALPHABET = "^$0123456789+~>="
Riddle = Callable[[random.Random], tuple[str, str]]


def addition(source: random.Random) -> tuple[str, str]:
    """``04+19=`` asks for ``23``."""
    a, b = source.randrange(20), source.randrange(20)
    return f"{a:02}+{b:02}=", f"{a + b}"


def distance(source: random.Random) -> tuple[str, str]:
    """``04~19=`` asks for ``15``."""
    a, b = source.randrange(20), source.randrange(20)
    return f"{a:02}~{b:02}=", f"{abs(a - b)}"


def larger(source: random.Random) -> tuple[str, str]:
    """``04>19=`` asks for ``19``."""
    a, b = source.randrange(20), source.randrange(20)
    return f"{a:02}>{b:02}=", f"{max(a, b)}"


KINDS: dict[str, Riddle] = {"addition": addition, "distance": distance, "larger": larger}
"""Each expert learns one of them."""


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character."""
    made = Tokenizer(models.WordLevel({c: i for i, c in enumerate(ALPHABET)}))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.decoder = decoders.Fuse()
    marks = {"bos_token": "^", "eos_token": "$", "pad_token": "$"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **marks)


def train(model: LlamaForCausalLM, riddles: list[Riddle], steps: int, rate: float, seed: int) -> LlamaForCausalLM:
    """Teach ``model`` to answer riddles of these kinds."""
    source, ids = random.Random(seed), {c: i for i, c in enumerate(ALPHABET)}  # noqa: S311 - not a secret
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    for _ in range(steps):
        texts = ["".join(source.choice(riddles)(source)) + "$" for _ in range(128)]
        batch = torch.tensor([[ids[c] for c in f"^{t}".ljust(11, "$")] for t in texts])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def score(folder: Path, riddle: Riddle) -> float:
    """The share of 200 riddles that the model in ``folder`` answers right, as a user would load and ask it."""
    model, reader = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    source, right = random.Random(7), 0  # noqa: S311 - not a secret
    asked = [riddle(source) for _ in range(200)]
    prompts = reader(
        [f"^{question}" for question, _ in asked],
        return_tensors="pt",
        add_special_tokens=False,
        return_token_type_ids=False,
    )
    answers = model.generate(**prompts, max_new_tokens=3, do_sample=False)[:, prompts["input_ids"].shape[1] :]
    for (_, truth), answer in zip(asked, answers, strict=True):
        right += reader.decode(answer).split("$")[0] == truth
    return right / len(asked)


def make_models(folder: Path) -> None:
    """Train and save the base and the experts, each under the name of its riddle."""
    disable_progress_bar()
    torch.manual_seed(0)
    torch.set_num_threads(1)  # for models this small, threads only wait for one another
    shape = LlamaConfig(
        vocab_size=len(ALPHABET),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=32,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    base = train(LlamaForCausalLM(shape), list(KINDS.values()), 600, 2e-3, 1)
    saved = {name: value.clone() for name, value in base.state_dict().items()}
    for name, own in KINDS.items():
        expert = LlamaForCausalLM(shape)
        expert.load_state_dict(saved)
        others = [riddle for riddle in KINDS.values() if riddle is not own]
        save(train(expert, [own, own, *others], 220, 7e-4, 2), folder / name)
    base.load_state_dict(saved)
    save(base, folder / "base")


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """As everybody saves a model."""
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
