"""The canonical form of a recipe and its digest.

Canonical form: JSON in UTF-8, keys sorted, no spaces, floats by their shortest spelling that reads back the
same. It says what is merged and how, and nothing about how that was written: no comments, no lines, no
warnings, and no value that only restates a default.
"""

import json
from collections.abc import Collection, Mapping

from blake3 import blake3

from umm.methods import METHODS
from umm.recipe.model import (
    Condition,
    Gradient,
    Input,
    ModelRef,
    Parameters,
    PerLayer,
    Recipe,
    Scalar,
    Setting,
    Slice,
    TokenizerRule,
    TokenRule,
)

Plain = Scalar | None | list["Plain"] | dict[str, "Plain"]
Defaults = Mapping[str, Scalar | None]


def canonical(recipe: Recipe) -> bytes:
    """The canonical form of one recipe."""
    return json.dumps(
        _recipe(recipe), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode()


def digest(recipe: Recipe) -> str:
    """``blake3:<hex>`` of the canonical form."""
    return f"blake3:{blake3(canonical(recipe)).hexdigest()}"


def _recipe(recipe: Recipe) -> Plain:
    method = METHODS.get(recipe.method)
    defaults: Defaults = {p.name: p.default for p in method.parameters} if method else {}
    parameters = _needed(recipe.parameters, defaults, ())
    module = _needed(recipe.module_parameters, defaults, parameters)
    weaker = {*parameters, *module}
    return _present(
        merge_method=recipe.method,
        models=[_input(i, defaults, weaker) for i in recipe.inputs],
        slices=[_slice(s, defaults, weaker) for s in recipe.slices],
        base_model=_model(recipe.base),
        parameters=_settings(parameters),
        module_parameters=_settings(module),
        dtype=recipe.dtype,
        out_dtype=None if recipe.out_dtype == recipe.dtype else recipe.out_dtype,
        tokenizer=_tokenizer(recipe.tokenizer) if recipe.tokenizer else None,
        chat_template=recipe.chat_template,
        seed=recipe.seed or None,
        name=recipe.name,
    )


def _needed(parameters: Parameters, defaults: Defaults, weaker: Collection[str]) -> Parameters:
    """The settings without those that restate a default which nothing at a weaker level overrides."""
    return {
        name: setting
        for name, setting in parameters.items()
        if name in weaker or name not in defaults or setting != defaults[name]
    }


def _slice(piece: Slice, defaults: Defaults, weaker: Collection[str]) -> Plain:
    parameters = _needed(piece.parameters, defaults, weaker)
    return _present(
        sources=[_input(i, defaults, {*weaker, *parameters}) for i in piece.inputs],
        base_model=_model(piece.base),
        parameters=_settings(parameters),
    )


def _input(source: Input, defaults: Defaults, weaker: Collection[str]) -> Plain:
    return _present(
        model=_model(source.model),
        layer_range=list(source.layers) if source.layers else None,
        parameters=_settings(_needed(source.parameters, defaults, weaker)),
        id=source.id,
    )


def _settings(parameters: Parameters) -> Plain:
    return {name: _setting(setting) for name, setting in parameters.items()}


def _setting(setting: Setting) -> Plain:
    if isinstance(setting, Gradient):
        return list(setting.values)
    if isinstance(setting, PerLayer):
        return {"layers": list(setting.layers), "other": setting.other}
    if isinstance(setting, tuple):
        return [_condition(c) for c in setting]
    return setting


def _condition(condition: Condition) -> Plain:
    return {"value": _setting(condition.value)} | ({"filter": condition.filter} if condition.filter else {})


def _model(model: ModelRef | None) -> Plain:
    if model is None:
        return None
    return _present(path=model.path, revision=model.revision, adapter=model.adapter)


def _tokenizer(rule: TokenizerRule) -> Plain:
    """Never empty: the presence of the rule already means something."""
    source = _model(rule.source) if isinstance(rule.source, ModelRef) else rule.source
    tokens: dict[str, Plain] = {token: _token(t) for token, t in rule.tokens.items()}
    return {"source": source} | _present(tokens=tokens, pad_to_multiple_of=rule.pad_to_multiple_of)


def _token(rule: TokenRule) -> dict[str, Plain]:
    """Never empty: a token with no rule of its own is still added to the vocabulary."""
    own = _present(model=_model(rule.model), token=rule.token, token_id=rule.token_id, force=rule.force or None)
    return {"kind": rule.kind} | own


def _present(**keys: Plain) -> dict[str, Plain]:
    """A mapping without what is absent or empty."""
    return {key: value for key, value in keys.items() if value is not None and value != [] and value != {}}
