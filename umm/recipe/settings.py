"""What a setting is worth for one tensor of one layer."""

from umm.errors import RecipeError
from umm.recipe.model import Condition, Gradient, PerLayer, Scalar, Setting


def resolve(setting: Setting, tensor_name: str, t: float, layer: int | None) -> Scalar | None:
    """The value of ``setting`` for the tensor, or None where no condition matches and a weaker level decides.

    ``t`` runs from 0 at the first layer of the slice to 1 at the last; ``layer`` is the index in the output,
    None outside any layer.
    """
    if isinstance(setting, Gradient):
        return _interpolated(setting, t)
    if isinstance(setting, PerLayer):
        return _looked_up(setting, layer)
    if isinstance(setting, tuple):
        return next((resolve(c.value, tensor_name, t, layer) for c in setting if _matches(c, tensor_name)), None)
    return setting


def _matches(condition: Condition, tensor_name: str) -> bool:
    return condition.filter in (None, "*") or str(condition.filter) in tensor_name


def _interpolated(gradient: Gradient, t: float) -> Scalar:
    """``(1 - f) v[i] + f v[i + 1]`` at ``i + f = t (n - 1)``, kept between the two despite rounding."""
    values = gradient.values
    scaled = t * (len(values) - 1)
    first = min(int(scaled), len(values) - 1)
    a, b = values[first], values[min(first + 1, len(values) - 1)]
    if isinstance(a, str) or isinstance(b, str) or any(isinstance(v, bool | str) for v in values):
        return values[first]
    fraction = scaled - first
    return min(max((1 - fraction) * a + fraction * b, min(a, b)), max(a, b))


def _looked_up(table: PerLayer, layer: int | None) -> float:
    if layer is None:
        return table.other
    if not 0 <= layer < len(table.layers):
        raise RecipeError(
            f"a per-layer table has {len(table.layers)} values, but the merged model has a layer {layer}: "
            "list one value for each output layer"
        )
    return table.layers[layer]
