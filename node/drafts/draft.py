"""A round file made into a draft that a node can sign: paths found, ``me`` replaced, times set, the rest as written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from node.control.orders import POINT_BYTES, BaseChoice, Draft, Terms
from node.drafts import moments
from node.drafts.table import Table
from node.errors import UserError
from node.sizes import shown

FIELDS = (
    "title",
    "description",
    "base",
    "recipe",
    "tolerance",
    "seed",
    "kinds",
    "stewards",
    "schedule",
    "admission",
)
BASE = ("folder", "root", "manifest", "locations", "result")
ADMISSION = (
    "keys",
    "contributions_per_key",
    "contributions",
    "bytes_each",
    "bytes_total",
    "max_norm",
    "licences",
    "domains",
)

KINDS = ("adapter", "checkpoint", "delta")
"""What a round accepts when nothing is said: everything that can be merged layer by layer."""

MAX_RECIPE_BYTES = 1 << 20

DEFAULT_PER_KEY = 4
DEFAULT_CONTRIBUTIONS = 64
DEFAULT_BYTES_EACH = 16 * 10**9
DEFAULT_BYTES_TOTAL = 256 * 10**9

ME = "me"


def draft_of(values: Mapping[str, Any], where: str, beside: Path, me: bytes, now: float) -> Draft:
    """The draft that a round file describes.

    ``where`` names the file in errors, ``beside`` is the folder that paths in it start from, ``me`` this node's point.
    """
    table = Table.of(values, FIELDS, where)
    title = table.text("title")
    if title is None:
        raise UserError(f"{where}: the round has no title; say what it is for: title, or --title TEXT")
    return Draft(
        title=title,
        description=table.text("description"),
        base=_base(table, beside),
        recipe=_recipe(table, beside),
        tolerance=table.decimal("tolerance"),
        seed=table.digest("seed"),
        kinds=tuple(sorted(table.texts("kinds") or KINDS)),
        stewards=_points(table, "stewards", me) or (me,),
        times=moments.schedule(table.table("schedule", moments.FIELDS), now),
        terms=_terms(table.table("admission", ADMISSION), me),
    )


def _base(table: Table, beside: Path) -> BaseChoice:
    given = table.values.get("base")
    if given is None:
        raise UserError(f"{table.where}: the round has no base; name the model's folder: base, or --base DIR")
    inner = Table.of({"folder": given} if isinstance(given, str) else given, BASE, table.where, "base.")
    folder = inner.text("folder")
    return BaseChoice(
        folder=None if folder is None else _folder(inner, folder, beside),
        root=inner.digest("root"),
        manifest=inner.digest("manifest"),
        locations=inner.texts("locations"),
        result=inner.digest("result"),
    )


def _folder(table: Table, text: str, beside: Path) -> Path:
    folder = (beside / Path(text).expanduser()).absolute()
    if not (folder / "config.json").is_file():
        raise table.fault("folder", f"is {folder}, which is not a model: there is no config.json in it")
    return folder


def _recipe(table: Table, beside: Path) -> str | None:
    """The recipe's text: of a file beside this one, or as it stands here on several lines or as a table."""
    given = table.values.get("recipe")
    if isinstance(given, dict):
        return _spelled(table, given)
    text = table.text("recipe")
    if text is None or "\n" in text:
        return text
    file = beside / Path(text).expanduser()
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_RECIPE_BYTES + 1)
        if len(data) > MAX_RECIPE_BYTES:
            raise table.fault("recipe", f"is the file {file}, which has more than {MAX_RECIPE_BYTES} bytes")
        return data.decode()
    except OSError as error:
        raise table.fault("recipe", f"is the file {file}, which cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise table.fault("recipe", f"is the file {file}, which is not UTF-8 text") from None


def _spelled(table: Table, recipe: dict[str, Any]) -> str:
    """A recipe that stands in the file as a table, as YAML: JSON is YAML too."""
    try:
        return json.dumps(recipe, indent=1, allow_nan=False)
    except (TypeError, ValueError):
        raise table.fault("recipe", "holds a time or a number that a recipe cannot have") from None


def _terms(table: Table, me: bytes) -> Terms:
    return Terms(
        keys=_points(table, "keys", me),
        contributions_per_key=table.count("contributions_per_key", DEFAULT_PER_KEY),
        contributions=table.count("contributions", DEFAULT_CONTRIBUTIONS),
        bytes_each=table.size("bytes_each", DEFAULT_BYTES_EACH),
        bytes_total=table.size("bytes_total", DEFAULT_BYTES_TOTAL),
        max_norm=table.decimal("max_norm"),
        licences=tuple(sorted(table.texts("licences"))),
        domains=tuple(sorted(table.texts("domains"))),
    )


def _points(table: Table, name: str, me: bytes) -> tuple[bytes, ...]:
    """Keys by their points, in ascending order; ``me`` is this node's."""
    return tuple(sorted({me if text == ME else _point(table, name, text) for text in table.texts(name)}))


def _point(table: Table, name: str, text: str) -> bytes:
    try:
        point = bytes.fromhex(text)
    except ValueError:
        point = b""
    if len(point) != POINT_BYTES or len(text) != 2 * POINT_BYTES:
        raise table.fault(
            name, f"names {shown(text)}, which is no key: {2 * POINT_BYTES} digits (umm key show on that node), or me"
        )
    return point
