"""How a merged model writes a conversation as text.

The built-in templates are written from the public descriptions of their formats, one Jinja file each.
Templates are text to us: nothing here renders one.
"""

import difflib
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from umm.checkpoint.folder import Folder
from umm.checkpoint.vocabulary import TOKENIZER_CONFIG_FILE
from umm.errors import CheckpointError, RecipeError

BUILTIN = ("alpaca", "chatml", "exaone", "llama3", "mistral")
"""The names of the templates that come with this package."""

TEMPLATE_FILE = "chat_template.jinja"

MAX_TEMPLATE_BYTES = 2**20
"""The largest template file read; real ones have at most some tens of KiB."""

MAX_TOKENIZER_CONFIG_BYTES = 64 * 2**20
"""The largest ``tokenizer_config.json`` read; it may describe every added token."""


def chat_template(choice: str, templates_of_models: Sequence[str | None]) -> str | None:
    """The template that a recipe's ``chat_template`` means; None when ``auto`` finds no model with one.

    ``auto`` is the template that most of the models have, the first in recipe order among equals. Otherwise
    the choice is the name of a built-in template or a Jinja template itself, recognised by its ``{``.
    """
    if choice == "auto":
        counted = Counter(template.strip() for template in templates_of_models if template and template.strip())
        # Counter keeps the order of first mention, and max the first of equals.
        return max(counted, key=lambda template: counted[template], default=None)
    if "{" in choice:
        return choice
    if choice in BUILTIN:
        return resources.files(__name__).joinpath(f"{choice}.jinja").read_text(encoding="utf-8")
    near = difflib.get_close_matches(choice, ["auto", *BUILTIN], n=1, cutoff=0)
    raise RecipeError(
        f"chat_template: {choice!r} is neither a built-in template (auto, {', '.join(BUILTIN)}) nor a Jinja "
        f"template. Did you mean {near[0] if near else 'auto'!r}?"
    )


def template_of(folder: Path) -> str | None:
    """The chat template of a model folder: ``chat_template.jinja``, or the default one in its tokenizer's
    settings.
    """
    here = Folder.of(folder)
    if here.has(TEMPLATE_FILE):
        try:
            return here.read(TEMPLATE_FILE, MAX_TEMPLATE_BYTES).decode()
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{folder / TEMPLATE_FILE} is not UTF-8 text.") from error
    if not here.has(TOKENIZER_CONFIG_FILE):
        return None
    found = here.read_object(TOKENIZER_CONFIG_FILE, MAX_TOKENIZER_CONFIG_BYTES).get("chat_template")
    if isinstance(found, list):
        named = (e for e in found if isinstance(e, dict) and e.get("name") == "default")
        found = next((entry.get("template") for entry in named), None)
    return found if isinstance(found, str) else None
