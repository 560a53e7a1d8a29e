"""Reading model references, and the tokenizer rules that are made of them."""

from collections.abc import Mapping
from typing import Literal

from umm.recipe.model import ModelRef, TokenizerRule, TokenRule
from umm.recipe.place import Place, Shape
from umm.recipe.wording import shown, suggestion

MAX_TOKEN_ID = (1 << 31) - 1  # of any vocabulary
MAX_PADDING = 1 << 20  # rows that pad_to_multiple_of may ask for


def read_model(place: Place) -> ModelRef:
    """``path``, ``path@revision``, ``path+adapter``, or the same as a mapping."""
    if not isinstance(place.value, Mapping):
        return _from_text(place)
    keys = place.keys(Shape.REFERENCE)
    if "model" not in keys:
        place.fail("model is missing")
    if "override_architecture" in keys:
        keys["override_architecture"].warn("override_architecture has no effect: tensors are lined up by name")
    path, revision = _folder(keys["model"])
    if "lora" not in keys:
        return ModelRef(path, revision)
    adapter, adapter_revision = _folder(keys["lora"])
    return ModelRef(path, revision, f"{adapter}@{adapter_revision}" if adapter_revision else adapter)


def read_tokenizer(place: Place) -> TokenizerRule:
    """The ``tokenizer`` mapping. Tokens come sorted: the order of a mapping's keys never means anything."""
    keys = place.keys(Shape.TOKENIZER)
    source = read_tokenizer_source(keys["source"]) if "source" in keys else "union"
    tokens = keys["tokens"].entries() if "tokens" in keys else {}
    padding = keys.get("pad_to_multiple_of")
    return TokenizerRule(
        source,
        {token: _token_rule(token, rule) for token, rule in sorted(tokens.items())},
        padding.whole(1, MAX_PADDING) if padding else None,
    )


def read_tokenizer_source(place: Place) -> Literal["union", "base"] | ModelRef:
    """Whose vocabulary the output has; also the legacy key ``tokenizer_source``."""
    if place.value == "union":
        return "union"
    if place.value == "base":
        return "base"
    return read_model(place)


def _from_text(place: Place) -> ModelRef:
    model, *adapters = place.word().split("+")
    if len(adapters) > 1:
        place.fail(f"{shown(place.value)} has more than one +; a model may have one adapter")
    path, revision = _split(model, place)
    if adapters:
        _split(adapters[0], place)
    return ModelRef(path, revision, adapters[0] if adapters else None)


def _folder(place: Place) -> tuple[str, str | None]:
    if not isinstance(place.value, Mapping):
        return _split(place.word(), place)
    keys = place.keys(Shape.FOLDER)
    if "path" not in keys:
        place.fail("path is missing")
    return keys["path"].word(), keys["revision"].word() if "revision" in keys else None


def _split(text: str, place: Place) -> tuple[str, str | None]:
    path, *revisions = text.split("@")
    if len(revisions) > 1:
        place.fail(f"{shown(text)} has more than one @; write path@revision")
    if not path or "" in revisions:
        place.fail(f"{shown(place.value)} is not a model; write path, path@revision or path+adapter")
    return path, revisions[0] if revisions else None


def _token_rule(token: str, place: Place) -> TokenRule:
    if not token:
        place.fail("a token cannot be empty text")
    keys = place.keys(Shape.TOKEN)
    force = keys["force"].flag() if "force" in keys else False
    source = keys.get("source")
    if source is None:
        return TokenRule(force=force)
    if not isinstance(source.value, Mapping) or "kind" not in source.value:
        return TokenRule("model", read_model(source), force=force)
    kind = source.entries()["kind"]
    if kind.value == "zero":
        source.keys(Shape.ZERO)
        return TokenRule("zero", force=force)
    if kind.value == "model_token":
        return _model_token(source, force)
    return kind.fail(f"unknown kind {shown(kind.value)}{suggestion(shown(kind.value), ['zero', 'model_token'])}")


def _model_token(place: Place, force: bool) -> TokenRule:
    keys = place.keys(Shape.MODEL_TOKEN)
    if "model" not in keys:
        place.fail("model is missing")
    if ("token" in keys) == ("token_id" in keys):
        place.fail("give either token or token_id")
    return TokenRule(
        "model_token",
        read_model(keys["model"]),
        keys["token"].text() if "token" in keys else None,
        keys["token_id"].whole(0, MAX_TOKEN_ID) if "token_id" in keys else None,
        force,
    )
