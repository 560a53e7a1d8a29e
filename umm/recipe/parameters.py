"""Reading ``parameters`` against what the merge method takes."""

from collections.abc import Mapping
from enum import Enum

from umm.methods import METHODS, Method
from umm.methods.registry import Parameter
from umm.recipe.model import Condition, Gradient, Parameters, PerLayer, Scalar, Setting
from umm.recipe.place import Place, Shape
from umm.recipe.wording import nearest, shown


class Level(Enum):
    """Where parameters may be set, the strongest first."""

    INPUT = "input"
    SLICE = "slice"
    MODULE = "module"
    RECIPE = "recipe"


def read_parameters(place: Place | None, method: Method, level: Level) -> Parameters:
    """The settings at one level. A parameter of other methods only is left out with a warning."""
    settings: dict[str, Setting] = {}
    for name, setting in (place.entries() if place else {}).items():
        parameter = method.parameter(name)
        if parameter is None:
            _without_effect(name, setting, method)
        elif parameter.scope == "merge" and level is Level.INPUT:
            setting.fail(
                f"{name} holds for the whole merge, so it has no effect under one model: "
                "put it under parameters of the recipe or of a slice"
            )
        else:
            settings[name] = _setting(setting, parameter)
    return settings


def _without_effect(name: str, place: Place, method: Method) -> None:
    if any(m.parameter(name) for m in METHODS.values()):
        place.warn(f"{name} has no effect with {method.name}")
        return
    own = [p.name for p in method.parameters]
    elsewhere = {p.name for m in METHODS.values() for p in m.parameters}
    close = nearest(name, own) or nearest(name, elsewhere)
    meant = f"; did you mean {close}?" if close else "."
    place.fail(f"unknown parameter{meant} {method.name} takes: {', '.join(own) or 'no parameters'}")


def _setting(place: Place, parameter: Parameter) -> Setting:
    value = place.value
    if isinstance(value, tuple) and any(isinstance(n.value, Mapping) for n in value):
        return _conditions(tuple(place.items()), parameter)
    if isinstance(value, Mapping) and not _is_table(value):
        return (_condition(place, parameter),)
    return _value(place, parameter)


def _conditions(places: tuple[Place, ...], parameter: Parameter) -> tuple[Condition, ...]:
    conditions: list[Condition] = []
    for place in places:
        if conditions and conditions[-1].filter is None:
            place.warn(f"{place.path} is never reached: the condition before it matches every tensor")
        conditions.append(_condition(place, parameter))
    return tuple(conditions)


def _condition(place: Place, parameter: Parameter) -> Condition:
    keys = place.keys(Shape.CONDITION)
    if "value" not in keys:
        place.fail("value is missing")
    pattern = keys["filter"].text() if "filter" in keys else None
    return Condition(_value(keys["value"], parameter), None if pattern == "*" else pattern)


def _value(place: Place, parameter: Parameter) -> Scalar | Gradient | PerLayer:
    """A setting without conditions."""
    value = place.value
    if isinstance(value, tuple):
        _require(place, parameter.kind is not int, f"{parameter.name} is a whole number and takes no gradient")
        return Gradient(tuple(_scalar(item, parameter) for item in place.items()))
    if isinstance(value, Mapping) and _is_table(value):
        _require(place, parameter.kind is float, f"{parameter.name} takes no per-layer table")
        return _table(place, parameter)
    return _scalar(place, parameter)


def _is_table(value: Mapping[str, object]) -> bool:
    return bool({"layers", "other"} & set(value))


def _table(place: Place, parameter: Parameter) -> PerLayer:
    keys = place.keys(Shape.TABLE)
    for key in Shape.TABLE.keys:
        _require(
            place,
            key in keys,
            f"{key} is missing; a per-layer table is {{layers: [0.1, 0.2, …], other: 0.3}}",
        )
    layers = tuple(float(_scalar(item, parameter)) for item in keys["layers"].items())
    return PerLayer(layers, float(_scalar(keys["other"], parameter)))


def _scalar(place: Place, parameter: Parameter) -> float | int | bool:
    if parameter.kind is bool:
        return place.flag()
    value = place.number()
    if parameter.low is not None and value < parameter.low:
        place.fail(f"{shown(value)} is too small; {parameter.name} is at least {parameter.low:g}")
    if parameter.high is not None and value > parameter.high:
        place.fail(f"{shown(value)} is too large; {parameter.name} is at most {parameter.high:g}")
    if parameter.kind is int:
        _require(place, value == int(value), f"expected a whole number, found {shown(value)}")
        return int(value)
    return float(value)


def _require(place: Place, holds: bool, problem: str) -> None:
    if not holds:
        place.fail(problem)
