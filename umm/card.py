"""The model card: what was merged, how to check it, and the recipe, as README.md with the hub's front matter.

A card is a function of the recipe and the root: no date, no user, and no path of the machine that merged.
"""

import re
from collections.abc import Sequence

import yaml


def model_card(
    recipe_text: str, title: str | None, base: str | None, models: Sequence[str], method: str, root: bytes
) -> str:
    """The card. ``models`` are the experts, ``method`` the title of the merge method; all names are public ones."""
    front = {
        "base_model": list(dict.fromkeys([*([base] if base else []), *models])),
        "base_model_relation": "merge",
        "library_name": "transformers",
        "tags": ["merge", "umm"],
    }
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {_one_line(title or 'A merged model')}",
        f"Merged with umm by the method **{_one_line(method)}**.",
        _what(base, models),
        _how_to_verify(root),
        f"## Recipe\n\n{_fenced(recipe_text)}",
    ]
    return "\n\n".join(sections) + "\n"


def _what(base: str | None, models: Sequence[str]) -> str:
    lines = [f"- {_code(m)}" for m in models]
    if base:
        lines.insert(0, f"- {_code(base)} (base)")
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
