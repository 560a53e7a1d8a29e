"""What a record offers is what its manifest lists: the two are signed and fetched apart and must say the same.

Nothing in a manifest's root says of which kind it is, so a signed root alone would let a manifest of adapters pass for
one of checkpoints. Rules:

1. A contribution, a result, a revision and a round's base have the manifest that they name, under the root that they
   name.
2. A contribution's manifest is of its kind, measured from its base or made on its prompts, and of its size. All others
   are of checkpoints.
"""

from protocol.blobs.kinds import Adapter, Checkpoint, Delta, Distributions
from protocol.blobs.manifest import Manifest
from protocol.errors import ForgedError, RuleError
from protocol.records import Base, Contribution, Outcome, Round

RULE = "manifest"
"""``RuleError.rule`` of a manifest that is of something else than the record says."""


def check_manifest(record: Contribution | Outcome | Round, manifest: Manifest) -> None:
    """Refuse a manifest that is not of what the record says: of a round, of its base."""
    said: Base | Contribution | Outcome = record.base if isinstance(record, Round) else record
    kind = record.kind.value if isinstance(record, Contribution) else Checkpoint.NAME
    _check_digest(record.noun, "manifest", said.manifest, manifest.id)
    _check_digest(record.noun, "root", said.root, manifest.root)
    if kind != manifest.about.NAME:
        raise RuleError(RULE, f"the {record.noun} needs the manifest of a {kind}, not of a {manifest.about.NAME}")
    if isinstance(record, Contribution):
        _check_about(record, manifest)
        _check_size(record, manifest)


def size_of(manifest: Manifest) -> int:
    """What a contribution says is its size: the manifest's bytes and those of every blob in it, each blob once."""
    return len(manifest.encode()) + sum(manifest.blobs.values())


def _check_digest(noun: str, what: str, said: bytes | None, found: bytes) -> None:
    if said not in (None, found):
        raise ForgedError(f"the {what} {found.hex()} in place of the one that the {noun} names")


def _check_about(record: Contribution, manifest: Manifest) -> None:
    match manifest.about:
        case Delta(base=found) | Adapter(base=found):
            said, what = record.base, "base"
        case Distributions(prompts=found):
            said, what = record.prompts, "prompts"
        case _:
            return
    if found != said:
        raise RuleError(RULE, f"the manifest has the {what} {found.hex()}, another than the contribution")


def _check_size(record: Contribution, manifest: Manifest) -> None:
    if (size := size_of(manifest)) != record.size:
        raise ForgedError(f"the manifest lists {size} bytes with its own; the contribution says {record.size}")
