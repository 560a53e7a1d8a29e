"""What a draft would be once it is signed: checked before, and shown by a dry run."""

import json
from typing import TYPE_CHECKING

from node.cli import here
from node.cli.progress import bar
from node.cli.rounds.rows import terms_facts
from node.cli.screen import Screen
from node.cli.times import lasting, local
from node.cli.values import plural
from node.control.orders import Draft
from node.errors import UserError

if TYPE_CHECKING:
    from protocol.records import Round


def check(screen: Screen, draft: Draft) -> None:
    """Refuse what could not be a round or could not be merged, before anything is signed."""
    _record(draft, _template(screen, draft))


def show(screen: Screen, draft: Draft) -> None:
    """The round that would be signed. The base is read for it."""
    template = _template(screen, draft)
    record = _record(draft, template)
    if draft.base.folder is not None:
        from protocol.blobs.folder import manifest_of_folder

        with bar(screen, "reading the base"):
            manifest = manifest_of_folder(draft.base.folder)
        record = _record(draft, template, manifest.root, manifest.id)
    document = json.loads(record.payload())
    if draft.seed is None:
        del document["seed"]
    screen.document({"round": document, "signed": False})
    if not screen.json:
        _print(screen, draft, record)


def _template(screen: Screen, draft: Draft) -> str:
    """The recipe on one line, as it is signed."""
    from node.recipes import DEFAULT_TEMPLATE, check_template

    template = check_template(draft.recipe or DEFAULT_TEMPLATE)
    if not template.exact and draft.tolerance is None:
        raise UserError("this method does not give everybody the same bits; give a tolerance, or choose another method")
    for warning in template.warnings:
        screen.warn(warning)
    return template.one_line


def _record(draft: Draft, recipe: str, root: bytes | None = None, manifest: bytes | None = None) -> "Round":
    from node.drafts.preview import round_of

    return round_of(draft, here.key(here.home()).public.point, recipe, root, manifest)


def _print(screen: Screen, draft: Draft, record: "Round") -> None:
    from protocol.identity import PublicKey

    times = record.schedule
    names = [PublicKey.from_point(point).name for point in record.stewards]
    folder = f" ({draft.base.folder})" if draft.base.folder else ""
    screen.say(f"{record.title}\n")
    screen.facts([
        ("convener", PublicKey.from_point(record.author).name),
        *([("about", record.description)] if record.description else []),
        ("base", f"blake3:{record.base.root.hex()}{folder}"),
        ("recipe", _recipe(draft)),
        ("seed", draft.seed.hex() if draft.seed else "drawn when it is signed"),
        *([("tolerance", record.tolerance)] if record.tolerance else []),
        *terms_facts(record.kinds, draft.terms),
        ("stewards", f"{', '.join(names)} ({record.quorum} of {len(names)} decide)"),
    ])  # fmt: skip
    screen.say()
    spans = [
        ("commit", float(times.commit_opens), float(times.commit_closes)),
        ("reveal", times.reveal_opens, float(times.reveal_closes)),
        ("roster", float(times.reveal_closes), float(times.roster_closes)),
        ("merge", float(times.roster_closes), float(times.merge_closes)),
    ]
    rows = [[name, local(begins), local(ends), lasting(ends - begins)] for name, begins, ends in spans]
    screen.table(["phase", "begins", "ends", "lasts"], rows)
    screen.say("\nNothing was signed.")


def _recipe(draft: Draft) -> str:
    if draft.recipe is None:
        return "the default: TIES with density 0.5"
    return plural(len(draft.recipe.splitlines()), "line")
