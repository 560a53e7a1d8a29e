"""Model folders for tests of merging, and a merge in one call.

``tiny`` makes small random models with transformers. ``plain`` makes folders that only look like a Llama, byte by
byte from BLAKE3: the same on every machine and with every version of every library.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from tests.umm.handmade import index, model_folder, tensor_file
from umm.field import TILE
from umm.merge import SHARD_BYTES, Report, choose_backend, merge
from umm.model import Folders, Models
from umm.plan import Plan, make_plan
from umm.recipe.document import load

Floats = NDArray[np.float32]

ARCHITECTURES = ("llama", "qwen2", "qwen3", "mistral", "gemma", "gemma3_text", "gpt_neox", "phi")
HEADER = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


# -- by transformers -------------------------------------------------------------------------------------------


def tiny(
    folder: Path,
    architecture: str = "llama",
    *,
    seed: int = 0,
    dtype: str = "bfloat16",
    shard: str = "5GB",
    **settings: Any,
) -> Path:
    """A model of a few thousand parameters; models that differ only in ``seed`` are fine-tunes of one base."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {
        "vocab_size": 96,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    heads = {} if architecture == "gpt_neox" else {"num_key_value_heads": 2}
    width = {"head_dim": 8} if architecture.startswith(("gemma", "qwen3")) else {}
    config = AutoConfig.for_model(architecture, **{**shape, **heads, **width, **settings})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += (0.1 if seed else 0.0) * torch.randn(parameter.shape, generator=draw)
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=shard)
    return folder


def generated(folder: Path, prompt: Sequence[int] = (1, 5, 9)) -> list[int]:
    """A few tokens that the model in a folder generates, after checking that all of it was loaded."""
    import torch
    from transformers import AutoModelForCausalLM

    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    out = model.generate(torch.tensor([prompt]), max_new_tokens=4, do_sample=False, eos_token_id=None)
    assert torch.isfinite(model(out).logits).all()
    found: list[int] = out[0].tolist()
    return found


# -- byte by byte ----------------------------------------------------------------------------------------------


def numbers(seed: str, shape: tuple[int, ...]) -> Floats:
    """Numbers between -1 and 1 from a hash."""
    count = int(np.prod(shape))
    raw = np.frombuffer(blake3(seed.encode()).digest(2 * count), "<i2")
    return (raw.astype(np.float32) / np.float32(2**15)).reshape(shape)


def shapes(layers: int = 2, vocab: int = 12, width: int = 8, *, head: bool = True) -> dict[str, tuple[int, ...]]:
    """The tensors of a model that looks like a Llama."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab, width)}
    for i in range(layers):
        found[f"model.layers.{i}.self_attn.q_proj.weight"] = (width, width)
        found[f"model.layers.{i}.mlp.up_proj.weight"] = (2 * width, width)
        found[f"model.layers.{i}.input_layernorm.weight"] = (width,)
    found["model.norm.weight"] = (width,)
    return found | ({"lm_head.weight": (vocab, width)} if head else {})


def values(seed: str, of: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    """The base's values; with another seed than ``base``, those of a fine-tune of it."""
    found = {}
    for name, shape in of.items():
        base = numbers(f"base {name}", shape)
        change = numbers(f"{seed} {name}", shape) ** 3 * np.float32(0.125)
        found[name] = base if seed == "base" else base + change
    return found


def stored(array: Floats, dtype: str) -> tuple[str, tuple[int, ...], bytes]:
    """An array as a safetensors file has it; bfloat16 by cutting off."""
    if dtype == "bfloat16":
        return "BF16", array.shape, (array.view(np.uint32) >> 16).astype("<u2").tobytes()
    return HEADER[dtype], array.shape, array.astype({"float16": "<f2", "float32": "<f4"}[dtype]).tobytes()


def plain(
    folder: Path,
    seed: str = "base",
    *,
    dtype: str = "bfloat16",
    extra: Mapping[str, tuple[str, tuple[int, ...], bytes]] | None = None,
    files: Mapping[str, bytes] | None = None,
    config: Mapping[str, object] | None = None,
    parts: int = 1,
    **size: Any,
) -> Path:
    """A folder of plain tensors in ``parts`` files, with a config that fits."""
    of = shapes(**size)
    tensors = {name: stored(array, dtype) for name, array in values(seed, of).items()} | dict(extra or {})
    settings = {
        "model_type": "llama",
        "num_hidden_layers": size.get("layers", 2),
        "vocab_size": of["model.embed_tokens.weight"][0],
        "tie_word_embeddings": "lm_head.weight" not in of,
        "dtype": dtype,
        **(config or {}),
    }
    return model_folder(folder, {**_weights(tensors, parts), **(files or {})}, settings)


def _weights(tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]], parts: int) -> dict[str, bytes]:
    if parts == 1:
        return {"model.safetensors": tensor_file(tensors)}
    names = list(tensors)
    groups = {f"part-{i}.safetensors": names[i::parts] for i in range(parts)}
    files = {file: tensor_file({n: tensors[n] for n in group}) for file, group in groups.items()}
    where = {name: file for file, group in groups.items() for name in group}
    return {**files, "model.safetensors.index.json": index(where)}


def adapter(folder: Path, factors: Mapping[str, Floats], **config: Any) -> Path:
    """A LoRA adapter in peft's layout; ``factors`` by names without peft's prefix."""
    folder.mkdir(parents=True)
    tensors = {f"base_model.model.{name}": stored(array, "float32") for name, array in factors.items()}
    (folder / "adapter_model.safetensors").write_bytes(tensor_file(tensors))
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


# -- merging ---------------------------------------------------------------------------------------------------


def plan(text: str, beside: Path) -> Plan:
    """The plan of a recipe of one document; its files stay open until it is forgotten."""
    (recipe,) = load(text)
    return make_plan(recipe, Models.of(recipe, Folders(beside, {})))


def merged(
    text: str,
    beside: Path,
    out: str = "out",
    *,
    backend: str = "auto",
    threads: int = 2,
    tile_size: int = TILE,
    shard_bytes: int = SHARD_BYTES,
    force: bool = False,
) -> Report:
    """Merge models that lie in ``beside`` into the folder ``out`` there."""
    made = plan(text, beside)
    try:
        return merge(
            made,
            beside / out,
            text,
            backend=choose_backend(backend),
            threads=threads,
            tile_size=tile_size,
            shard_bytes=shard_bytes,
            force=force,
        )
    finally:
        made.models.close()


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


SETTINGS: Mapping[str, Mapping[str, object]] = {
    "ties": {"density": 0.4},
    "dare_linear": {"density": 0.6},
    "dare_ties": {"density": 0.6},
    "della": {"density": 0.6, "epsilon": 0.2},
    "della_linear": {"density": 0.6, "epsilon": 0.2},
    "breadcrumbs": {"density": 0.7, "gamma": 0.05},
    "breadcrumbs_ties": {"density": 0.7, "gamma": 0.05},
    "sce": {"select_topk": 0.3},
    "slerp": {"t": 0.3},
    "nearswap": {"t": 0.01},
    "passthrough": {"scale": 0.5},
}
"""Parameters that make a method do what it is known for."""


def recipe(method: str, *, base: str = "base", experts: tuple[str, ...] = ("a", "b"), **keys: Any) -> str:
    """A recipe for a method over a base and as many of the experts as the method takes, with more keys."""
    from umm.methods import METHODS, Base

    contract = METHODS[method]
    most = contract.experts[1] or len(experts)
    weights = any(p.name == "weight" for p in contract.parameters)
    document: dict[str, object] = {
        "merge_method": method,
        "models": [
            {"model": name} | ({"parameters": {"weight": 1 - 0.25 * k}} if weights else {})
            for k, name in enumerate(experts[:most])
        ],
        "parameters": SETTINGS.get(method, {}),
        **keys,
    }
    if contract.base in (Base.REQUIRED, Base.ENDPOINT):
        document["base_model"] = base
    return json.dumps(document)  # which is YAML
