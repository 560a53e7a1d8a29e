"""The output's ``config.json``, made from the base's: as many layers as there are, the dtype they are in.

A config is otherwise left alone. Nothing here knows an architecture: the layer count is found by its usual
names, and a list that has exactly one item per layer (``layer_types`` of Qwen and Gemma) is put together
again from the configs that the output's layers came from.
"""

from collections.abc import Mapping, Sequence

from umm.checkpoint.dtype import Dtype
from umm.checkpoint.layout import json_bytes
from umm.checkpoint.strict import shown
from umm.errors import MismatchError

Config = Mapping[str, object]
Path = tuple[str, ...]

LAYER_COUNT_KEYS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
TEXT_SECTIONS = ("text_config", "llm_config", "language_config")
"""Where models that also see or hear keep the settings of their language part."""

DTYPE_KEYS = ("dtype", "torch_dtype")
"""transformers 4.56 began to write the first; older releases know the second only."""

NOT_PER_LAYER = frozenset({"architectures", "eos_token_id", "bos_token_id", "pad_token_id", "suppress_tokens"})
"""Lists that are as long as there are layers only by chance."""

LOCAL_KEYS = ("_name_or_path", "_commit_hash")
"""Where a model was loaded from; says nothing about the output and may name a private folder."""


def layer_count_path(config: Config) -> Path | None:
    """The keys that lead to the layer count, or None when no usual name is there."""
    for section in ((), *((s,) for s in TEXT_SECTIONS)):
        here = _section(config, section)
        for key in LAYER_COUNT_KEYS:
            if type(here.get(key)) is int:
                return (*section, key)
    return None


def layer_count(config: Config) -> int | None:
    """How many layers a config says the model has."""
    path = layer_count_path(config)
    value = _section(config, path[:-1])[path[-1]] if path else None
    return value if isinstance(value, int) else None


def output_config(
    base: Config,
    layers: Sequence[tuple[Config, int]] | None,
    dtype: Dtype,
    vocab_size: int | None = None,
    tied: bool | None = None,
) -> dict[str, object]:
    """``base`` changed to describe the output.

    ``layers`` gives, for every output layer, a model's config and the layer of it that this one came from;
    None leaves the layers as they are. ``tied`` sets ``tie_word_embeddings``, None leaves it.
    """
    result = _with_dtype({k: v for k, v in base.items() if k not in LOCAL_KEYS}, dtype)
    path = layer_count_path(base)
    if layers is not None and path is not None:
        section = _section(base, path[:-1])
        changes = _reassembled(section, path, layers) | {path[-1]: len(layers)}
        result = _changed(result, path[:-1], changes)
    if vocab_size is not None:
        result = _changed_where_present(result, "vocab_size", vocab_size)
    if tied is not None:
        result = _changed_where_present(result, "tie_word_embeddings", tied)
    return result


def config_bytes(config: Config) -> bytes:
    """The config as a file: the same bytes for the same settings."""
    return json_bytes(config)


def _section(config: Config, path: Path) -> Config:
    for key in path:
        inner = config.get(key)
        config = inner if isinstance(inner, dict) else {}
    return config


def _changed(config: Config, path: Path, changes: Config) -> dict[str, object]:
    if not path:
        return {**config, **changes}
    return {**config, path[0]: _changed(_section(config, path[:1]), path[1:], changes)}


def _changed_where_present(config: Config, key: str, value: object) -> dict[str, object]:
    """Set ``key`` at the top and in the text section, wherever it is; at the top when it is nowhere."""
    places: list[Path] = [p for p in ((), *((s,) for s in TEXT_SECTIONS)) if key in _section(config, p)]
    result = dict(config)
    for place in places or [()]:
        result = _changed(result, place, {key: value})
    return result


def _with_dtype(config: Config, dtype: Dtype) -> dict[str, object]:
    """Every mention of the dtype set to the output's; both spellings added when there was none at the top."""
    result = {key: _dtype_inside(key, value, dtype) for key, value in config.items()}
    if not any(key in result for key in DTYPE_KEYS):
        result |= dict.fromkeys(DTYPE_KEYS, dtype.recipe)
    return result


def _dtype_inside(key: str, value: object, dtype: Dtype) -> object:
    if key in DTYPE_KEYS:
        return dtype.recipe
    if isinstance(value, dict) and key.endswith("_config") and key != "quantization_config":
        return {k: _dtype_inside(k, v, dtype) for k, v in value.items()}
    return value


def _reassembled(section: Config, path: Path, layers: Sequence[tuple[Config, int]]) -> dict[str, object]:
    """The section's per-layer lists for the output's layers."""
    count = section[path[-1]]
    keys = [k for k, v in section.items() if isinstance(v, list) and len(v) == count and k not in NOT_PER_LAYER]
    if len(layers) == count and all(i == source for i, (_, source) in enumerate(layers)):
        return {}
    return {key: [_item(config, layer, key, path) for config, layer in layers] for key in keys}


def _item(config: Config, layer: int, key: str, path: Path) -> object:
    own = layer_count_path(config) or path
    values = _section(config, own[:-1]).get(key)
    if not isinstance(values, list) or layer >= len(values):
        raise MismatchError(
            f"config key {shown(key)} has one item per layer in the base but none for layer {layer} of "
            "another model; their layers cannot be stacked"
        )
    return values[layer]
