"""One YAML document to one recipe."""

from dataclasses import replace

from umm.checkpoint.dtype import Dtype
from umm.methods import METHODS, Method
from umm.methods.registry import Base
from umm.recipe.check import check
from umm.recipe.model import Input, ModelRef, Recipe, Slice, TokenizerRule
from umm.recipe.parameters import Level, read_parameters
from umm.recipe.place import Place, Shape
from umm.recipe.reference import read_model, read_tokenizer, read_tokenizer_source
from umm.recipe.wording import listed, shown, suggestion

MAX_SEED = (1 << 64) - 1
MAX_LAYERS = 10_000  # of one model
MAX_NAME = 64  # characters; the name becomes a folder's name
NAME_MARKS = "._-"  # what a name may hold beside letters and digits, but not start with


def read_recipe(place: Place) -> Recipe:
    """The recipe that a document's mapping spells, checked as far as the text alone allows."""
    keys = place.keys(Shape.RECIPE)
    method = _method(place, keys)
    body, module = _body(place, keys)
    base = read_model(keys["base_model"]) if "base_model" in keys else None
    recipe = Recipe(
        method=method.name,
        inputs=_inputs(body["models"], method, base) if "models" in body else (),
        slices=_slices(body["slices"], method, base) if "slices" in body else (),
        base=base,
        parameters=read_parameters(keys.get("parameters"), method, Level.RECIPE),
        module_parameters=read_parameters(module, method, Level.MODULE),
        dtype=_dtype(keys.get("dtype")),
        out_dtype=_dtype(keys.get("out_dtype")),
        tokenizer=_tokenizer(keys, base),
        chat_template=keys["chat_template"].text() if "chat_template" in keys else None,
        seed=keys["seed"].whole(0, MAX_SEED) if "seed" in keys else 0,
        name=_name(keys.get("name")),
    )
    check(recipe, method, place, body["models"] if recipe.inputs else body["slices"])
    return replace(recipe, warnings=place.sheet.warnings())


def _method(place: Place, keys: dict[str, Place]) -> Method:
    if "merge_method" not in keys:
        place.fail(f"merge_method is missing. Valid: {', '.join(sorted(METHODS))}")
    name = keys["merge_method"].word()
    if name not in METHODS:
        keys["merge_method"].fail(f"unknown merge method {shown(name)}{suggestion(name, METHODS)}")
    return METHODS[name]


def _body(place: Place, keys: dict[str, Place]) -> tuple[dict[str, Place], Place | None]:
    """The keys beside ``models`` or ``slices``, and the parameters of the module they are in."""
    _exactly_one(place, keys, ("models", "slices", "modules"))
    if "modules" not in keys:
        return keys, None
    modules = tuple(keys["modules"].entries().values())
    if len(modules) != 1:
        keys["modules"].fail(f"found {len(modules)} modules; a recipe merges exactly one: write one recipe for each")
    body = modules[0].keys(Shape.MODULE)
    _exactly_one(modules[0], body, ("models", "slices"))
    return body, body.get("parameters")


def _exactly_one(place: Place, keys: dict[str, Place], names: tuple[str, ...]) -> None:
    found = [name for name in names if name in keys]
    if not found:
        place.fail(f"one of {listed(names)} is missing")
    if len(found) > 1:
        keys[found[1]].fail(f"{found[0]} is already given on line {keys[found[0]].line}; give one of {listed(names)}")


def _inputs(place: Place, method: Method, base: ModelRef | None) -> tuple[Input, ...]:
    return tuple(_input(item, Shape.MODEL, method, base) for item in place.items())


def _slices(place: Place, method: Method, base: ModelRef | None) -> tuple[Slice, ...]:
    return tuple(_slice(item, method, base) for item in place.items())


def _slice(place: Place, method: Method, base: ModelRef | None) -> Slice:
    keys = place.keys(Shape.SLICE)
    if "sources" not in keys:
        place.fail("sources is missing")
    if "residual_weight" in keys:
        keys["residual_weight"].number()
        keys["residual_weight"].warn("residual_weight has no effect")
    own = read_model(keys["base_model"]) if "base_model" in keys else None
    return Slice(
        tuple(_input(item, Shape.SOURCE, method, own or base) for item in keys["sources"].items()),
        own,
        read_parameters(keys.get("parameters"), method, Level.SLICE),
        place.line,
    )


def _input(place: Place, shape: Shape, method: Method, base: ModelRef | None) -> Input:
    keys = place.keys(shape)
    for key in ("model", "layer_range"):
        if key in shape.keys and key not in keys:
            place.fail(f"{key} is missing")
    model = read_model(keys["model"])
    parameters = read_parameters(keys.get("parameters"), method, Level.INPUT)
    if parameters and model == base and method.base not in (Base.UNUSED, Base.PEER):
        keys["parameters"].warn(f"{listed(parameters)} under {model} has no effect: it is the base model")
        parameters = {}
    layers = _layers(keys["layer_range"]) if "layer_range" in keys else None
    return Input(model, layers, parameters, keys["id"].word() if "id" in keys else None, place.line)


def _layers(place: Place) -> tuple[int, int]:
    places = tuple(place.items())
    if len(places) != 2:
        place.fail("layer_range is two whole numbers, the first layer and the one after the last: [0, 16]")
    first, end = (p.whole(0, MAX_LAYERS) for p in places)
    if first >= end:
        place.fail(f"the range [{first}, {end}] is empty; the second number is one more than the last layer")
    return first, end


def _dtype(place: Place | None) -> str | None:
    if place is None:
        return None
    spelling = place.word()
    dtype = Dtype.from_recipe(spelling)
    if dtype is None:
        place.fail(f"unknown dtype {shown(spelling)}{suggestion(spelling, [d.recipe for d in Dtype])}")
    return dtype.recipe


def _tokenizer(keys: dict[str, Place], base: ModelRef | None) -> TokenizerRule | None:
    place = keys.get("tokenizer") or keys.get("tokenizer_source")
    if place is None:
        return None
    if "tokenizer" in keys and "tokenizer_source" in keys:
        keys["tokenizer_source"].fail("give either tokenizer or tokenizer_source, not both")
    legacy = "tokenizer" not in keys
    rule = TokenizerRule(read_tokenizer_source(place)) if legacy else read_tokenizer(place)
    if rule.source == "base" and base is None:
        place.fail("the source base needs base_model; give it, or use union or a model's path")
    return rule


def _name(place: Place | None) -> str | None:
    if place is None:
        return None
    name = place.word()
    plain = all(c.isascii() and (c.isalnum() or c in NAME_MARKS) for c in name)
    if not plain or name[0] in NAME_MARKS or len(name) > MAX_NAME:
        place.fail(
            f"{shown(name)} cannot name a folder; use up to {MAX_NAME} letters, digits and "
            f"{' '.join(NAME_MARKS)}, starting with a letter or digit"
        )
    return name
