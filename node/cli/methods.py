"""``umm methods``: what methods there are, and what one of them takes."""

import textwrap
from typing import TYPE_CHECKING

import click

from node.cli.screen import Screen
from node.cli.verb import verb

if TYPE_CHECKING:
    from umm.methods.registry import Method, Parameter

WIDTH = 100
BASES = {
    "required": "needs a base model, which deltas are measured from",
    "optional": "takes a base model to work on deltas; without one it works on whole models",
    "endpoint": "needs a base model, which is one of the two that are merged",
    "peer": "needs no base model; one that is named takes part like the others",
    "unused": "needs no base model; one that is named only gives its config and tokenizer",
}
KINDS = {"float": "number", "int": "whole number", "bool": "true or false"}


@verb("methods", help="List the merge methods, or explain one and its parameters.")
@click.argument("name", required=False, metavar="[METHOD]", help="Explain this one.")
def command(screen: Screen, name: str | None) -> None:
    """Print the list or the explanation."""
    from umm.errors import RecipeError
    from umm.methods import METHODS
    from umm.recipe.wording import shown, suggestion

    if name is None:
        chosen = sorted(METHODS.values(), key=lambda m: m.name)
        screen.document([_document(m) for m in chosen])
        screen.say(_table(chosen))
        return
    if name not in METHODS:
        raise RecipeError(f"unknown merge method {shown(name)}{suggestion(name, METHODS)}")
    method = METHODS[name]
    screen.document(_document(method))
    screen.say(_explanation(method))


def _table(methods: "list[Method]") -> str:
    return "\n".join(f"{m.name:18} {m.title:28} {m.source}" for m in methods)


def _document(method: "Method") -> dict[str, object]:
    return {
        "name": method.name,
        "title": method.title,
        "source": method.source,
        "exact": method.exact,
        "base": method.base.value,
        "experts": list(method.experts),
        "what": method.doc,
        "parameters": [
            {
                "name": p.name,
                "what": p.doc,
                "type": p.kind.__name__,
                "per": p.scope,
                "required": p.required,
                "default": p.default,
                "least": p.low,
                "most": p.high,
            }
            for p in method.parameters
        ],
    }


def _explanation(method: "Method") -> str:
    plain = method.doc.replace("``", "")
    paragraphs = [textwrap.fill(" ".join(p.split()), WIDTH) for p in plain.split("\n\n")]
    lines = [
        f"{method.title} ({method.name}), {method.source}\n",
        *(f"{paragraph}\n" for paragraph in paragraphs),
        f"It {BASES[method.base.value]}. It {_experts(method)}.",
        "The result is exact to the bit." if method.exact else "The result is not bit-reproducible.",
    ]
    if method.parameters:
        lines += ["", "Parameters:", *map(_parameter, method.parameters)]
    return "\n".join(lines)


def _experts(method: "Method") -> str:
    low, high = method.experts
    number = f"{low}" if low == high else f"{low} or more" if high is None else f"{low} to {high}"
    noun = "model" if number == "1" else "models"
    beside = " beside it" if method.base.value in ("required", "endpoint") else ""
    return f"merges {number} {noun}{beside}"


def _parameter(parameter: "Parameter") -> str:
    kind = KINDS[parameter.kind.__name__]
    if parameter.low is not None and parameter.high is not None:
        kind += f" from {parameter.low:g} to {parameter.high:g}"
    elif parameter.low is not None:
        kind += f" from {parameter.low:g}"
    default = "none" if parameter.default is None else str(parameter.default).lower()
    rule = "required" if parameter.required else f"default {default}"
    scope = "for each model" if parameter.scope == "expert" else "for the whole merge"
    return f"  {parameter.name:18} {parameter.doc}\n  {'':18} {kind}, {scope}, {rule}"
