"""What a recipe's parameters mean for one tensor: levels, filters and gradients, in plain Python.

The setting of an input beats the setting of the recipe. A list of conditions picks the first whose filter
occurs in the tensor's name. A list of numbers is spread over the layers and interpolated; tensors outside
any layer take its first value.
"""

import re
from collections.abc import Mapping
from typing import Any

LAYER = re.compile(r"\.layers\.(\d+)\.")


def place(name: str, layers: int) -> float:
    """How far down the model a tensor is, from 0 to 1."""
    found = LAYER.search(name)
    if not found:
        return 0.0
    return int(found[1]) / (layers - 1) if layers > 1 else 1.0


def value(setting: Any, name: str, t: float) -> float | None:
    """A number, or None if no condition holds."""
    if not isinstance(setting, list):
        return float(setting)
    if isinstance(setting[0], Mapping):
        for condition in setting:
            wanted = condition.get("filter")
            if wanted in (None, "*") or wanted in name:
                return value(condition["value"], name, t)
        return None
    if isinstance(setting[0], bool):
        return float(setting[int(t * (len(setting) - 1))])
    at = t * (len(setting) - 1)
    low = int(at)
    high = min(low + 1, len(setting) - 1)
    return float((1 - (at - low)) * setting[low] + (at - low) * setting[high])


def parameter(recipe: Mapping[str, Any], index: int | None, key: str, name: str, t: float) -> float | None:
    """A parameter of an input (or of the whole merge, if index is None); None if nothing is said."""
    levels = [] if index is None else [recipe["models"][index].get("parameters", {})]
    for level in [*levels, recipe.get("parameters", {})]:
        if key in level:
            found = value(level[key], name, t)
            if found is not None:
                return found
    return None
