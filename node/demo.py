"""The main job in one go, on models made here: train a base and two experts, merge them by a recipe, use the result.

``python -m node.demo [FOLDER]`` takes a minute on two cores and downloads nothing. The models are Llamas of 120,000
parameters that read single characters; each expert learns one kind of riddle that the base half knows.
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils.logging import disable_progress_bar

from node.cli import main

ALPHABET = "^$0123456789+~="
Riddle = Callable[[random.Random], tuple[str, str]]

RECIPE = """\
# Each expert adds what it learned; 0.7 of both deltas is put on the base.
merge_method: task_arithmetic
base_model: {folder}/base
models:
  - model: {folder}/adder
    parameters: {{weight: 0.7}}
  - model: {folder}/measurer
    parameters: {{weight: 0.7}}
dtype: float32
"""


def addition(source: random.Random) -> tuple[str, str]:
    """``04+19=`` asks for ``23``."""
    a, b = source.randrange(20), source.randrange(20)
    return f"{a:02}+{b:02}=", f"{a + b}"


def distance(source: random.Random) -> tuple[str, str]:
    """``04~19=`` asks for ``15``."""
    a, b = source.randrange(20), source.randrange(20)
    return f"{a:02}~{b:02}=", f"{abs(a - b)}"


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
    """Train and save the base and the experts."""
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
    base = train(LlamaForCausalLM(shape), [addition, distance], 300, 2e-3, 1)
    saved = base.state_dict()
    saved = {name: value.clone() for name, value in saved.items()}
    for name, own, other in (("adder", addition, distance), ("measurer", distance, addition)):
        expert = LlamaForCausalLM(shape)
        expert.load_state_dict(saved)
        train(expert, [own, own, other], 200, 1e-3, 2).save_pretrained(folder / name)
        tokenizer().save_pretrained(folder / name)
    base.load_state_dict(saved)
    base.save_pretrained(folder / "base")
    tokenizer().save_pretrained(folder / "base")


def run(folder: Path) -> int:
    """Everything, with what it prints."""
    disable_progress_bar()
    say = sys.stdout.write
    say(f"1. Training a base model and two experts in {folder}/ (about half a minute)\n")
    make_models(folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(folder=folder))
    say(f"\n2. The recipe, {recipe}\n\n{recipe.read_text()}")
    say(f"\n3. umm merge {recipe} {folder}/merged\n\n")
    sys.stdout.flush()
    if code := main(["merge", str(recipe), str(folder / "merged"), "--force"]):
        return code
    say("\n4. Loading each with transformers: right answers to riddles\n\n             addition  distance\n")
    for name in ("base", "adder", "measurer", "merged"):
        say(f"   {name:10} {score(folder / name, addition):8.0%} {score(folder / name, distance):9.0%}\n")
    say(
        f"\nNow look at {folder}/merged/README.md, and try:\n"
        f"umm inspect {folder}/base {folder}/adder {folder}/measurer\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
