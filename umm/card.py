"""The model card: what was merged, how to check it, and the recipe, as README.md with the hub's front matter.

A card is a function of the recipe and the root: no date, no user, and no path of the machine that merged.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

import yaml

from umm.recipe.model import ModelRef, Recipe, Slice, TokenizerRule

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""``organisation/name``, as the hub has it."""

HUB_CACHE = "models--"
"""The hub's cache calls the folder of ``org/name`` ``models--org--name``."""


def public_name(path: str) -> str:
    """What to call a model in public: its name on the hub, or the last part of its path."""
    parts = PurePath(path.replace("\\", "/")).parts
    if cached := next((p for p in parts if p.startswith(HUB_CACHE)), None):
        return cached.removeprefix(HUB_CACHE).replace("--", "/")
    if HUB_NAME.fullmatch(path):
        return path
    return next((p for p in reversed(parts) if p not in ("/", ".", "..", "~")), "model")


def model_card(
    recipe_text: str, recipe: Recipe, base: str | None, models: Sequence[str], method: str, root: bytes
) -> str:
    """The card. ``models`` are the experts' names, ``method`` the title of the merge method."""
    named = list(dict.fromkeys(public_name(m) for m in ([base] if base else []) + list(models)))
    title = recipe.name or "A merged model"
    front = {
        "base_model": named,
        "base_model_relation": "merge",
        "library_name": "transformers",
        "tags": ["merge", "umm"],
    }
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {_one_line(title)}",
        f"Merged with umm by the method **{_one_line(method)}**.",
        _what(base, models),
        _how_to_verify(root),
        f"## Recipe\n\n{_fenced(public_text(recipe_text, recipe))}",
    ]
    return "\n\n".join(sections) + "\n"


def public_text(text: str, recipe: Recipe) -> str:
    """The recipe's text with the folders of its author's machine replaced by public names."""
    private = {part for ref in _references(recipe) for part in (ref.path, ref.adapter) if part}
    if recipe.chat_template and re.fullmatch(r"[^\n{]*/[^\n{]*", recipe.chat_template):
        private.add(recipe.chat_template)
    for path in sorted(private, key=len, reverse=True):
        text = text.replace(path, public_name(path))
    return text


def public_recipe(recipe: Recipe) -> Recipe:
    """The recipe with the folders of its author's machine replaced by public names: what others can check."""
    return replace(
        recipe,
        base=recipe.base and _public(recipe.base),
        inputs=tuple(replace(i, model=_public(i.model)) for i in recipe.inputs),
        slices=tuple(_public_slice(s) for s in recipe.slices),
        tokenizer=recipe.tokenizer and _public_tokenizer(recipe.tokenizer),
    )


def _public(ref: ModelRef) -> ModelRef:
    return ModelRef(public_name(ref.path), ref.revision, ref.adapter and public_name(ref.adapter))


def _public_slice(piece: Slice) -> Slice:
    inputs = tuple(replace(i, model=_public(i.model)) for i in piece.inputs)
    return replace(piece, inputs=inputs, base=piece.base and _public(piece.base))


def _public_tokenizer(rule: TokenizerRule) -> TokenizerRule:
    source = _public(rule.source) if isinstance(rule.source, ModelRef) else rule.source
    tokens = {text: replace(t, model=t.model and _public(t.model)) for text, t in rule.tokens.items()}
    return replace(rule, source=source, tokens=tokens)


def _references(recipe: Recipe) -> list[ModelRef]:
    rule = recipe.tokenizer
    found = list(recipe.models())
    if rule:
        found += [rule.source] if isinstance(rule.source, ModelRef) else []
        found += [t.model for t in rule.tokens.values() if t.model]
    return found


def _what(base: str | None, models: Sequence[str]) -> str:
    lines = [f"- {_code(public_name(m))}" for m in models]
    if base:
        lines.insert(0, f"- {_code(public_name(base))} (base)")
    return "\n".join(["## Models", "", *lines])


def _how_to_verify(root: bytes) -> str:
    return (
        "## Verifying\n\n"
        f"The root over all tensors, the config and the tokenizer files is\n\n```\n{root.hex()}\n```\n\n"
        "`umm.json` lists the digest of every tensor. Anyone with the same models and this recipe gets the "
        "same root:\n\n```\numm merge recipe.yaml out/\n```"
    )


def _fenced(text: str) -> str:
    """A YAML block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}yaml\n{text.rstrip()}\n{fence}"


def _code(name: str) -> str:
    return f"`{_one_line(name).replace('`', '')}`"


def _one_line(text: str) -> str:
    return " ".join(text.split())
