"""What a model signature says: an in-toto statement that lists a folder's files. Strict and pure.

Rules, beyond those of JSON (``strict``):

1. ``_type``, ``predicateType``, one subject; the predicate has ``resources`` and ``serialization``, nothing else.
2. Files are hashed whole, with SHA-256, and symbolic links are not followed.
3. Every name is a plain relative path (``check_name``), none comes twice, and they ascend: by code point as the
   specification says, or component by component as the reference implementation sorts (``a/b`` before ``a.txt``).
4. The subject's digest is SHA-256 over the files' digests in the order of the list.

Only resource descriptors (the subject is one too) may have further fields, which in-toto wants ignored.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.errors import ForgedError, MalformedError, TooLargeError, TooNewError, TooOldError
from protocol.strict import CONTROL_CHARACTER, JsonObject, canonical, parse_object, shown

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
OLD_PREDICATE_TYPE = "https://model_signing/Digests/v0.1"
NEW_PREDICATE_TYPE = re.compile(r"https://model_signing/signature/v[0-9]+(\.[0-9]+)?")

METHOD = "files"
HASH = "sha256"
DIGEST_BYTES = 32

MAX_STATEMENT_BYTES = 4 * 2**20
"""A file takes about 150 bytes beside its name."""

MAX_FILES = 8192
"""Files under one signature; the largest public checkpoints have a few hundred."""

MAX_NAME_BYTES = 1024
"""UTF-8 length of a relative path."""

MAX_COMPONENTS = 32
"""Folders in a relative path, and the file itself."""

MAX_IGNORED_PATHS = 256

MAX_LISTED_NAMES = 8
"""Names in one error message."""

HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
GLOB_CHARACTERS = frozenset("*?[")
WHAT = "the statement"


@dataclass(frozen=True)
class Resource:
    """One file: its path below the folder, with slashes, and the SHA-256 digest of its bytes."""

    name: str
    digest: bytes

    def __post_init__(self) -> None:
        check_name(self.name, "a file's name")
        if len(self.digest) != DIGEST_BYTES:
            raise MalformedError(f"the digest of {shown(self.name)} has {len(self.digest)} bytes, not {DIGEST_BYTES}")


@dataclass(frozen=True)
class Statement:
    """All files of a folder that a signature covers, and the paths that it leaves out on purpose.

    ``model`` is the folder's name when it was signed: for people, it proves nothing.
    """

    model: str
    resources: tuple[Resource, ...]
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.model or not _is_text(self.model):
            raise MalformedError(f"{WHAT} has {shown(self.model)} for the name of the model")
        if not self.resources:
            raise MalformedError(f"{WHAT} lists no file; an empty folder is not a model")
        _check_count(len(self.resources), MAX_FILES, "files")
        _check_count(len(self.ignored), MAX_IGNORED_PATHS, "ignored paths")
        _check_order([resource.name for resource in self.resources])
        for path in self.ignored:
            check_ignored_path(path)

    @classmethod
    def of(cls, model: str, digests: Iterable[tuple[str, bytes]], ignored: Iterable[str]) -> "Statement":
        """The statement over names and digests in any order."""
        resources = (Resource(name, digest) for name, digest in sorted(digests))
        return cls(model, tuple(resources), tuple(sorted(ignored)))

    @property
    def root(self) -> bytes:
        """The 32 bytes by which other documents refer to the folder: SHA-256 over the digests in order."""
        return hashlib.sha256(b"".join(resource.digest for resource in self.resources)).digest()

    def payload(self) -> bytes:
        """The bytes to sign."""
        listed = [{"algorithm": HASH, "digest": r.digest.hex(), "name": r.name} for r in self.resources]
        how = {"allow_symlinks": False, "hash_type": HASH, "ignore_paths": list(self.ignored), "method": METHOD}
        statement = {
            "_type": STATEMENT_TYPE,
            "predicate": {"resources": listed, "serialization": how},
            "predicateType": PREDICATE_TYPE,
            "subject": [{"digest": {HASH: self.root.hex()}, "name": self.model}],
        }
        return canonical(statement)

    @classmethod
    def parse(cls, payload: bytes) -> "Statement":
        """The statement in a payload whose signature has been verified."""
        fields = parse_object(payload, MAX_STATEMENT_BYTES, WHAT)
        _check_types(fields)
        exactly(fields, {"_type", "subject", "predicateType", "predicate"}, WHAT)
        predicate = exactly(fields["predicate"], {"resources", "serialization"}, "the predicate")
        ignored = _ignored(predicate["serialization"])
        entries = items(predicate["resources"], MAX_FILES, "resources")
        model, root = _subject(fields["subject"])
        statement = cls(model, tuple(_resource(entry) for entry in entries), ignored)
        if statement.root != root:
            raise ForgedError(f"{WHAT} contradicts itself: its files' digests do not hash to the root that it names")
        return statement


def check_name(name: str, what: str) -> None:
    """Refuse a path that is not plain, relative and printable, or that means another file elsewhere."""
    if not _is_text(name):
        raise MalformedError(f"{what} is not Unicode text without control characters: {shown(name)}; rename the file")
    if (length := len(name.encode("utf-8"))) > MAX_NAME_BYTES:
        raise TooLargeError(f"{what} has {length} bytes; at most {MAX_NAME_BYTES} are allowed")
    parts = name.split("/")
    if len(parts) > MAX_COMPONENTS:
        raise TooLargeError(f"{what} lies {len(parts)} levels deep; at most {MAX_COMPONENTS} are allowed")
    if "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise MalformedError(f"{what} is {shown(name)}, which is not a plain path inside the folder")


def check_ignored_path(path: str) -> None:
    """Refuse an ignored path that is a pattern or leads out of the folder."""
    check_name(path, "an ignored path")
    if GLOB_CHARACTERS & set(path):
        raise MalformedError(f"the ignored path {shown(path)} is a pattern; only plain paths may be ignored")


def listed(names: Sequence[str]) -> str:
    """A stranger's names for a message: quoted, and only a few of many."""
    first = ", ".join(shown(name) for name in names[:MAX_LISTED_NAMES])
    return first if len(names) <= MAX_LISTED_NAMES else f"{first} and {len(names) - MAX_LISTED_NAMES} more"


def exactly(value: object, keys: set[str], what: str) -> JsonObject:
    """An object that has these keys and no other."""
    found = fields_of(value, what)
    if found.keys() != keys:
        odd = sorted(found.keys() ^ keys)
        raise MalformedError(f"{what} must have exactly {', '.join(sorted(keys))}; {listed(odd)} is wrong")
    return found


def fields_of(value: object, what: str) -> JsonObject:
    """An object."""
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a JSON object")
    return value


def items(value: object, limit: int, what: str) -> list[Any]:
    """A list of at most ``limit`` items."""
    if not isinstance(value, list):
        raise MalformedError(f"{what} is not a list")
    _check_count(len(value), limit, what)
    return value


def text(value: object, what: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise MalformedError(f"{what} is not text")
    return value


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not CONTROL_CHARACTER.search(value)


def _check_types(fields: JsonObject) -> None:
    """Too old, too new and nonsense get three different answers."""
    if fields.get("_type") != STATEMENT_TYPE:
        raise MalformedError(f"{WHAT} is of type {shown(fields.get('_type'))}, not {STATEMENT_TYPE}")
    found = text(fields.get("predicateType"), "the predicate type")
    if found == PREDICATE_TYPE:
        return
    if found == OLD_PREDICATE_TYPE:
        raise TooOldError(f"{WHAT} is of the kind {found}, from before version 1.0; sign the model again")
    if NEW_PREDICATE_TYPE.fullmatch(found):
        raise TooNewError(f"{WHAT} is of the kind {shown(found)}, which this program does not know; update it")
    raise MalformedError(f"{WHAT} is of the kind {shown(found)}, which is not a model signature ({PREDICATE_TYPE})")


def _subject(value: object) -> tuple[str, bytes]:
    subjects = items(value, 1, "subjects")
    if not subjects:
        raise MalformedError("the subject is missing")
    subject = fields_of(subjects[0], "the subject")
    digest = exactly(subject.get("digest"), {HASH}, "the subject's digest")
    return text(subject.get("name"), "the subject's name"), _digest(digest[HASH], "the subject")


def _ignored(value: object) -> tuple[str, ...]:
    how = dict(fields_of(value, "the serialization"))
    ignored = items(how.pop("ignore_paths", []), MAX_IGNORED_PATHS, "ignore_paths")
    if how.get("method") == "shards":
        raise MalformedError("the files were hashed in shards; only whole files (method `files`) are verified here")
    exactly(how, {"method", "hash_type", "allow_symlinks"}, "the serialization")
    if how["method"] != METHOD:
        raise MalformedError(f"the serialization method is {shown(how['method'])}, not {METHOD}")
    if how["hash_type"] != HASH:
        raise MalformedError(f"the files were hashed with {shown(how['hash_type'])}; only {HASH} is verified here")
    if how["allow_symlinks"] is not False:
        raise MalformedError("symbolic links were followed when signing; only plain files are verified here")
    return tuple(sorted({text(path, "an ignored path") for path in ignored}))


def _resource(value: object) -> Resource:
    entry = fields_of(value, "a resource")
    name = text(entry.get("name"), "a resource's name")
    if entry.get("algorithm") != HASH:
        raise MalformedError(
            f"the resource {shown(name)} has the algorithm {shown(entry.get('algorithm'))}, not {HASH}"
        )
    return Resource(name, _digest(entry.get("digest"), f"the resource {shown(name)}"))


def _digest(value: object, what: str) -> bytes:
    if not isinstance(value, str) or not HEX_DIGEST.fullmatch(value):
        raise MalformedError(f"{what} has a digest that is not 64 lower-case hexadecimal digits")
    return bytes.fromhex(value)


def _check_count(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise TooLargeError(f"there are {count} {what}; at most {limit} are allowed")


def _check_order(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise MalformedError(f"{WHAT} lists {shown(name)} twice")
        seen.add(name)
    if names not in (sorted(names), sorted(names, key=lambda name: name.split("/"))):
        raise MalformedError(f"{WHAT} does not list its files in order")
