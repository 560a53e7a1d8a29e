"""What a merge will do, known from recipe and headers alone: every tensor, its inputs, its parameters.

Every mistake that a recipe or its models can have, short of bad numbers inside the tensors, is found here.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from umm.arithmetic import philox_key
from umm.assembly import Origins, Place, Ties, sliced, stack_of, whole
from umm.blueprint import Blueprint, refuse_other_names
from umm.chat_templates import TEMPLATE_FILE, chat_template, template_of
from umm.checkpoint.config import config_bytes, output_config
from umm.checkpoint.dtype import Dtype
from umm.checkpoint.folder import CONFIG
from umm.checkpoint.layers import main_stack
from umm.checkpoint.layout import OutTensor
from umm.checkpoint.source import Source
from umm.errors import MismatchError, RecipeError
from umm.listing import lines
from umm.methods import METHODS, Arguments, Base, Method, Parameter
from umm.methods.registry import Value
from umm.model import Model, Models
from umm.recipe.model import Condition, Input, ModelRef, Parameters, PerLayer, Recipe, Setting
from umm.recipe.settings import resolve
from umm.vocabulary_plan import VocabularyPlan, plan_vocabulary

Only = Collection[str] | None


@dataclass(frozen=True)
class Step:
    """One output tensor: from which inputs, with which parameters. Without ``arguments``, bytes are copied."""

    name: str
    shape: tuple[int, ...]
    dtype: Dtype | str
    models: tuple[Model, ...]
    sources: tuple[Source, ...]
    names: tuple[str, ...]
    has_base: bool = False
    arguments: Arguments | None = None
    keys: tuple[int, ...] = ()
    depth: float = 0.0

    @property
    def size(self) -> int:
        """How many elements."""
        return prod(self.shape)

    @property
    def read_bytes(self) -> int:
        """Bytes of all inputs, read once."""
        if self.arguments is None:
            return self.output.size
        return sum(prod(s.shape) * s.dtype.width for s in self.sources)

    @property
    def output(self) -> OutTensor:
        """The tensor as it is written."""
        return OutTensor(self.name, self.dtype, self.shape)


@dataclass(frozen=True)
class Plan:
    """A whole merge, ready to run or to be shown. ``files`` are config, tokenizer and the like."""

    recipe: Recipe
    method: Method
    models: Models
    steps: tuple[Step, ...]
    files: Mapping[str, bytes]
    dtype: Dtype
    warnings: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """How many numbers the output has."""
        return sum(s.size for s in self.steps)

    @property
    def read_bytes(self) -> int:
        """Bytes of all inputs, read once."""
        return sum(s.read_bytes for s in self.steps)

    @property
    def written_bytes(self) -> int:
        """Bytes of all output tensors."""
        return sum(s.output.size for s in self.steps)


def make_plan(recipe: Recipe, models: Models, only: Only = None) -> Plan:
    """Plan a recipe over opened models. ``only``: what will be merged, if not all; values of others are left alone."""
    method = METHODS[recipe.method]
    inputs = _participants(recipe, method)
    donor = models[recipe.base or (inputs or recipe.slices[0].inputs)[0].model]
    ties = Ties.of(recipe, models, donor)
    layers: Origins | None = None
    if recipe.slices:
        places, layers = sliced(recipe, models, ties)
        stack = stack_of(donor)
        refuse_other_names([p.name for p in places], donor, ties, stack)
        blueprint = Blueprint.of(donor, ties, stack)
    else:
        places = whole(inputs, recipe, models, donor, ties)
        _check_tables(recipe, donor)
        blueprint = Blueprint.of(donor, ties)
    vocabulary = plan_vocabulary(recipe, models, donor)
    steps = [_step(p, recipe, method, models, ties, vocabulary, only) for p in places]
    _refuse_bad_shapes(steps, vocabulary, blueprint)
    dtype = _main_dtype(steps)
    rows = vocabulary.output.rows if vocabulary.output else None
    config = config_bytes(output_config(donor.config, layers, dtype, rows, ties.output_tied))
    files = {**vocabulary.files(donor, models), **_template(recipe, models), CONFIG: config}
    warnings = (*recipe.warnings, *vocabulary.warnings)
    return Plan(recipe, method, models, tuple(steps), files, dtype, warnings)


def _template(recipe: Recipe, models: Models) -> dict[str, bytes]:
    """The chat template that the recipe asks for, as a file."""
    if recipe.chat_template is None:
        return {}
    chosen = chat_template(recipe.chat_template, [template_of(m.checkpoint.folder) for m in models])
    return {} if chosen is None else {TEMPLATE_FILE: chosen.encode()}


def _participants(recipe: Recipe, method: Method) -> tuple[Input, ...]:
    """The inputs of a ``models`` recipe, the base among them if the method uses one."""
    listed = recipe.inputs
    if not listed or recipe.base is None or method.base is Base.UNUSED:
        return listed
    return listed if any(i.model == recipe.base for i in listed) else (*listed, Input(recipe.base))


def _main_dtype(steps: Sequence[Step]) -> Dtype:
    """The type that most of the output's numbers have."""
    counts: Counter[Dtype] = Counter()
    for step in steps:
        if isinstance(step.dtype, Dtype):
            counts[step.dtype] += step.size
    return max(Dtype, key=lambda d: counts[d])


# -- one tensor ------------------------------------------------------------------------------------------------


def _step(
    place: Place, recipe: Recipe, method: Method, models: Models, ties: Ties, vocabulary: VocabularyPlan, only: Only
) -> Step:
    opened = [(i, models[i.model], ties.stored(models[i.model], name)) for i, name in place.inputs]
    base, experts = _roles(place, method, opened)
    members = ([base] if base else []) + experts
    stored = [model.checkpoint.tensors[name] for _, model, name in members]
    dtype = Dtype.from_header(stored[0].dtype)
    if dtype is None:
        return _copied(place, members, compare=only is None or place.name in only)
    sources = vocabulary.align(place.name, [(m, name) for _, m, name in members])
    arguments = _arguments(place, recipe, method, [(i, name) for i, _, name in experts])
    if method.check and (problem := method.check(arguments)):
        raise RecipeError(f"{method.name} of {place.name}: {problem}")
    identities = [i.id if i.id is not None else str(k) for k, (i, _, _) in enumerate(experts)]
    return Step(
        place.name,
        sources[0].shape,
        _out_dtype(recipe) or dtype,
        tuple(m for _, m, _ in members),
        tuple(sources),
        tuple(name for _, _, name in members),
        base is not None,
        arguments,
        tuple(philox_key(recipe.seed, place.name, i) for i in identities),
        place.depth,
    )


_Member = tuple[Input, Model, str]


def _roles(place: Place, method: Method, opened: list[_Member]) -> tuple[_Member | None, list[_Member]]:
    """The base's tensor, if the method has one, and the experts'."""
    if method.base in (Base.UNUSED, Base.PEER) or place.base is None:
        return None, opened
    base = next((m for m in opened if m[0].model == place.base), None)
    if base is None:
        raise RecipeError(
            f"line {opened[0][0].line}: {method.name} measures from the base model {place.base}, which is not "
            f"among the sources of the slice that {place.name} belongs to; list it there with its layer_range"
        )
    return base, [m for m in opened if m[0].model != place.base]


def _copied(place: Place, members: Sequence[_Member], *, compare: bool) -> Step:
    """A tensor of integers or truth values: the same in all inputs, or nothing to merge."""
    _, model, name = members[0]
    first = model.checkpoint.tensors[name]
    for _, other, other_name in members[1:]:
        stored = other.checkpoint.tensors[other_name]
        same = (stored.dtype, stored.shape) == (first.dtype, first.shape)
        if not same or (compare and other.checkpoint.raw(other_name) != model.checkpoint.raw(name)):
            raise MismatchError(
                f"{place.name} differs between {model.ref} and {other.ref}, and it holds {first.dtype}, which "
                "can only be copied; merge models in which it is the same"
            )
    return Step(place.name, first.shape, first.dtype, (model,), (), (name,))


def _arguments(place: Place, recipe: Recipe, method: Method, experts: Sequence[tuple[Input, str]]) -> Arguments:
    shared = (place.slice_parameters, recipe.module_parameters, recipe.parameters)
    merge = {p.name: _value(p, shared, place, place.name) for p in method.parameters if p.scope == "merge"}
    per_model = [p for p in method.parameters if p.scope == "expert"]
    each = tuple(
        {p.name: _value(p, (i.parameters, *shared), place, name, i.model) for p in per_model} for i, name in experts
    )
    return Arguments(merge, each)


def _value(
    parameter: Parameter,
    levels: Sequence[Parameters],
    place: Place,
    name: str,
    model: ModelRef | None = None,
) -> Value:
    """The strongest level that has a value for this tensor decides."""
    for level in levels:
        if parameter.name in level:
            value = resolve(level[parameter.name], name, place.t, place.layer)
            if value is not None:
                return value
    if parameter.required:
        whose = f" of {model}" if model else ""
        raise RecipeError(
            f"no value for the parameter {parameter.name}{whose} at {name}: its conditions match other tensors "
            "only. Add a last entry without a filter."
        )
    return parameter.default


def _out_dtype(recipe: Recipe) -> Dtype | None:
    spelling = recipe.out_dtype or recipe.dtype
    return Dtype.from_recipe(spelling) if spelling else None


# -- all of them -----------------------------------------------------------------------------------------------


def _check_tables(recipe: Recipe, model: Model) -> None:
    """Per-layer tables must have one value for each layer; for slices, the recipe itself shows it."""
    stack = main_stack(model.shapes, model.config)
    count = stack.count if stack else 0
    levels = [recipe.parameters, recipe.module_parameters, *(i.parameters for i in recipe.inputs)]
    for name, setting in (item for level in levels for item in level.items()):
        for table in _tables(setting):
            if len(table.layers) != count:
                raise RecipeError(
                    f"{name}: the per-layer table has {len(table.layers)} values, but the merged model has "
                    f"{count} layers; list one value for each layer"
                )


def _tables(setting: Setting) -> Iterator[PerLayer]:
    if isinstance(setting, tuple):
        for condition in setting:
            yield from _tables(condition.value if isinstance(condition, Condition) else condition)
    elif isinstance(setting, PerLayer):
        yield setting


def _refuse_bad_shapes(steps: Sequence[Step], vocabulary: VocabularyPlan, blueprint: Blueprint) -> None:
    """All inputs of a tensor have one shape, and it is one that the config's owner has."""
    problems, only_rows = [], True
    for step in steps:
        shapes = _shapes(step, vocabulary, blueprint)
        if len({shape for _, shape in shapes}) > 1:
            spelled = ", ".join(f"{ref} {list(shape)}" for ref, shape in shapes)
            problems.append(f"{step.name}: {spelled}")
            only_rows &= step.name in vocabulary.embeddings and len({shape[1:] for _, shape in shapes}) == 1
    if problems:
        advice = (
            "The vocabularies differ: add 'tokenizer: {source: base}' or 'tokenizer: {source: union}' to the recipe."
            if only_rows
            else "Only models of one architecture and size can be merged."
        )
        raise MismatchError(f"shapes differ:\n{lines(problems)}\n{advice}")


def _shapes(step: Step, vocabulary: VocabularyPlan, blueprint: Blueprint) -> list[tuple[ModelRef, tuple[int, ...]]]:
    """The shapes of a tensor's inputs, and after them the donor's if theirs is none of those that it has."""
    own = [s.shape for s in step.sources] or [step.shape]
    shapes = list(zip((m.ref for m in step.models), own, strict=True))
    allowed = blueprint.allowed(step.name)
    if vocabulary.output is not None and step.name in vocabulary.embeddings:  # the output has rows of its own
        allowed = frozenset((step.shape[0], *shape[1:]) for shape in allowed)
    if allowed and step.shape not in allowed and blueprint.donor.ref not in (ref for ref, _ in shapes):
        shapes.append((blueprint.donor.ref, min(allowed)))
    return shapes
