"""The settings of a LoRA adapter (``adapter_config.json``), refused unless all of them are understood.

An adapter with a setting we ignore would merge to something its author never ran, so the rule for keys is:

1. a key that decides the merged weights is read and checked;
2. a key that only matters in training is ignored;
3. a key of a variant we do not compute, and any key we do not know, must be off (null, false or empty).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from umm.checkpoint.module_patterns import ModulePatterns
from umm.checkpoint.strict import shown, shown_plain
from umm.errors import CheckpointError

MAX_RANK = 1 << 16
"""The largest rank accepted: no weight matrix has a side this long and a low-rank product worth adding."""

MAX_ALPHA = 1 << 24
"""The largest alpha, with either sign: the scale and its products stay far from the end of float32."""

IGNORED_KEYS = frozenset(
    {
        "alora_invocation_tokens_string",
        "auto_mapping",
        "base_model_name_or_path",
        "bias",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "loftq_config",
        "lora_bias",
        "lora_dropout",
        "lora_ga_config",
        "megatron_config",
        "megatron_core",
        "modules_to_save",
        "peft_version",
        "qalora_group_size",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
    }
)
"""Keys that leave the merged weights alone, or (``bias``, ``modules_to_save``) say what the tensors' names
say too.
"""

REASONS = {
    "use_dora": "DoRA rescales the columns of the weight",
    "use_qalora": "QALoRA pools the inputs",
    "use_bdlora": "BD-LoRA has block-diagonal factors",
    "kasa_config": "KaSA truncates the base weight",
    "velora_config": "VeLoRA changes the projection",
    "monteclora_config": "MonteCLoRA samples the weights",
    "arrow_config": "Arrow routes between adapters for each token",
    "alora_invocation_tokens": "an activated LoRA applies only to some tokens",
    "layer_replication": "the adapter belongs to a model with repeated layers",
    "trainable_token_indices": "single embedding rows are replaced",
    "target_parameters": "parameters of fused experts are adapted",
}
"""Why a variant cannot be merged as a plain low-rank product."""

PLAIN_INITIALISATIONS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to start training that leave the base weights as they are; PiSSA, OLoRA, CorDA and others change them.
"""


@dataclass(frozen=True)
class AdapterConfig:
    """What decides the merged weights. The patterns give some modules a rank or an alpha of their own."""

    rank: int
    alpha: float
    rslora: bool = False
    fan_in_fan_out: bool = False
    rank_pattern: ModulePatterns = field(default_factory=ModulePatterns)
    alpha_pattern: ModulePatterns = field(default_factory=ModulePatterns)

    @classmethod
    def parse(cls, document: Mapping[str, Any], where: str) -> "AdapterConfig":
        """The settings in ``document``; ``where`` names the file in errors."""
        if document.get("peft_type") != "LORA":
            raise CheckpointError(
                f"{where}: peft_type is {document.get('peft_type')!r}; only LORA adapters can be merged. "
                "Merge this adapter into its base model with peft and name that folder instead."
            )
        _refuse_variants(document, where)
        return cls(
            rank=_number(document.get("r", 8), "r", where, whole=True),
            alpha=_number(document.get("lora_alpha", 8), "lora_alpha", where),
            rslora=_flag(document, "use_rslora", where),
            fan_in_fan_out=_flag(document, "fan_in_fan_out", where),
            rank_pattern=_patterns(document, "rank_pattern", where, whole=True),
            alpha_pattern=_patterns(document, "alpha_pattern", where),
        )

    def rank_of(self, module: str) -> int:
        """The rank that the settings give to ``module``."""
        return int(self.rank_pattern.number_of(module, self.rank))

    def scale_of(self, module: str) -> np.float32:
        """alpha / rank, or alpha / √rank (rank-stabilised), in float64 and then rounded to float32."""
        rank, alpha = self.rank_of(module), self.alpha_pattern.number_of(module, self.alpha)
        return np.float32(alpha / math.sqrt(rank) if self.rslora else alpha / rank)


def _refuse_variants(document: Mapping[str, Any], where: str) -> None:
    read = {"peft_type", "r", "lora_alpha", "use_rslora", "fan_in_fan_out", "rank_pattern", "alpha_pattern"}
    start = document.get("init_lora_weights", True)
    if start not in PLAIN_INITIALISATIONS:
        raise CheckpointError(
            f"{where}: init_lora_weights is {start!r}, which changed the base weights before training. "
            "Convert the adapter with peft (save_pretrained with path_initial_model_for_weight_conversion)."
        )
    for key, value in document.items():
        if key not in read and key not in IGNORED_KEYS and key != "init_lora_weights" and value:
            reason = REASONS.get(key, "this setting is not known, so the merged weights could be wrong")
            raise CheckpointError(
                f"{where}: {key} is set, and adapters with it cannot be merged here: {reason}. "
                "Merge the adapter into its base model with peft and name that folder instead."
            )


def _flag(document: Mapping[str, Any], key: str, where: str) -> bool:
    value = document.get(key)
    if value not in (True, False, None):
        raise CheckpointError(f"{where}: {key} is {value!r}; it must be true or false.")
    return bool(value)


def _number(value: Any, key: str, where: str, *, whole: bool = False) -> Any:
    if whole:
        fits = type(value) is int and 0 < value <= MAX_RANK
        wanted = f"a whole number from 1 to {MAX_RANK}"
    else:
        fits = type(value) in (int, float) and abs(value) <= MAX_ALPHA
        wanted = f"a number from -{MAX_ALPHA} to {MAX_ALPHA}"
    if not fits:
        raise CheckpointError(f"{where}: {key} is {shown_plain(repr(value))}; it must be {wanted}.")
    return value


def _patterns(document: Mapping[str, Any], key: str, where: str, *, whole: bool = False) -> ModulePatterns:
    table = document.get(key) or {}
    if not isinstance(table, dict):
        raise CheckpointError(f"{where}: {key} must be a table of patterns and numbers.")
    for pattern, value in table.items():
        _number(value, f"{key}[{shown(pattern)}]", where, whole=whole)
    return ModulePatterns.parse(table, f"{where}: {key}")
