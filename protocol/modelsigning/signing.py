"""Signing a model folder, and holding a folder to its signature."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import ForgedError, MalformedError, UsageError
from protocol.identity import Key, PublicKey
from protocol.modelsigning.bundle import Bundle
from protocol.modelsigning.folder import ALWAYS_UNSIGNED, BUNDLE_FILE, UNSIGNED, Listing, Progress, digests, list_files
from protocol.modelsigning.replacing import replace
from protocol.modelsigning.statement import Statement, listed


@dataclass(frozen=True)
class Report:
    """What verifying a folder has shown.

    ``signer`` is None where no key was given: the folder is what the bundle lists, but anybody may have written the
    bundle. ``root`` is the SHA-256 by which other documents refer to the folder. ``unsigned`` lies in the folder and is
    not covered.
    """

    signer: PublicKey | None
    root: bytes
    files: int
    size: int
    unsigned: tuple[str, ...]


def sign_folder(
    folder: Path, key: Key, *, known: Mapping[str, bytes] | None = None, progress: Progress = lambda _: None
) -> bytes:
    """The bytes of ``model.sig`` for everything in ``folder`` but ``UNSIGNED``.

    ``known`` has SHA-256 digests by name of files that were hashed while they were written: they are taken as they are.
    ``progress`` is told, from several threads, how many more bytes were read.
    """
    listing = list_files(folder, UNSIGNED)
    given = dict(known or {})
    if strange := sorted(given.keys() - listing.files.keys()):
        raise UsageError(f"the digests of {listed(strange)} are known, but {folder} has no such files")
    if not listing.files:
        raise UsageError(f"{folder} has no file to sign")
    given |= digests(listing, listing.files.keys() - given.keys(), progress)
    statement = Statement.of(_model_name(folder), given.items(), UNSIGNED)
    return Bundle.sign(statement.payload(), key).encode()


def write_bundle(folder: Path, bundle: bytes) -> Path:
    """Put the signature into the folder, all of it or nothing."""
    path = folder / BUNDLE_FILE
    replace(path, lambda: bundle)
    return path


def verify_folder(
    folder: Path,
    bundle: bytes,
    trusted: PublicKey | None,
    *,
    unsigned: Collection[str] = (),
    progress: Progress = lambda _: None,
) -> Report:
    """Refuse unless ``folder`` holds exactly the files that ``trusted`` signed.

    ``unsigned`` are further paths in the folder that may lack a signature, where the signature leaves them out too: a
    signer could leave out everything, so that is not his decision alone.
    """
    parsed = Bundle.parse(bundle)
    if trusted is not None:
        parsed.verify(trusted)
    statement = Statement.parse(parsed.payload)
    listing = list_files(folder, _ignored(statement, unsigned))
    _check_names(statement, listing)
    found = digests(listing, listing.files, progress)
    if changed := [r.name for r in statement.resources if found[r.name] != r.digest]:
        raise ForgedError(f"{folder} is not what was signed: changed {listed(changed)}; fetch the model again")
    return Report(trusted, statement.root, len(found), listing.total, listing.ignored)


def _model_name(folder: Path) -> str:
    name = folder.resolve().name
    return name if name and name.isprintable() else "model"


def _ignored(statement: Statement, unsigned: Collection[str]) -> set[str]:
    """The paths that are left out of the comparison, none of which covers a signed file."""
    ignored = set(statement.ignored)
    candidates = ignored.union(ALWAYS_UNSIGNED)
    covered = {path for resource in statement.resources for path in _prefixes(resource.name) if path in candidates}
    if both := sorted(covered & ignored):
        raise MalformedError(f"the statement covers files beneath {listed(both)} and says that it ignores them")
    return (set(ALWAYS_UNSIGNED) - covered) | (ignored & {*UNSIGNED, *unsigned})


def _check_names(statement: Statement, listing: Listing) -> None:
    signed = {resource.name for resource in statement.resources}
    added, missing = sorted(listing.files.keys() - signed), sorted(signed - listing.files.keys())
    ignored = frozenset(statement.ignored)
    if left_out := [name for name in added if not ignored.isdisjoint(_prefixes(name))]:
        raise ForgedError(
            f"the signature says that it does not cover {listed(left_out)} in {listing.folder}; "
            "remove this, or name it as something that you accept unsigned"
        )
    faults = [f"{what} {listed(names)}" for what, names in (("added", added), ("missing", missing)) if names]
    if faults:
        raise ForgedError(f"{listing.folder} is not what was signed: {', '.join(faults)}; fetch the model again")


def _prefixes(name: str) -> Iterable[str]:
    """A path and the folders above it."""
    parts = name.split("/")
    return ("/".join(parts[: i + 1]) for i in range(len(parts)))
