"""``python -m tests.protocol.hostile.make_records``: records with one fault each, named by it.

A file is the payload type, a line feed and the payload. All but the faults named for their spelling are canonical.
"""

from pathlib import Path
from typing import Any

from protocol.errors import MalformedError, TooLargeError, TooNewError, TooOldError
from protocol.strict import canonical, parse_object
from tests.protocol.records.examples import ALL, START, digest

FOLDER = Path(__file__).with_name("records")

Fault = tuple[bytes, type[MalformedError], str]

HEX = digest("x").hex()
TWO = [digest("b").hex(), digest("c").hex()]


def kind_type(kind: str, version: str = "1") -> str:
    """The payload type of a kind."""
    return f"application/vnd.umm.{kind}+json; v={version}"


def document(name: str) -> dict[str, Any]:
    """The JSON of a good record."""
    return parse_object(ALL[name].record.payload(), 1 << 20, name)


def file(payload_type: str, payload: bytes) -> bytes:
    """The bytes of a hostile file."""
    return payload_type.encode() + b"\n" + payload


def typed(payload_type: str, error: type[MalformedError], says: str) -> Fault:
    """A good vote under another payload type."""
    return file(payload_type, ALL["vote"].record.payload()), error, says


def spelled(name: str, payload: bytes, says: str, error: type[MalformedError] = MalformedError) -> Fault:
    """Other bytes under a good payload type."""
    return file(ALL[name].record.payload_type, payload), error, says


def changed(name: str, path: str, value: Any, says: str, error: type[MalformedError] = MalformedError) -> Fault:
    """A good record with one field changed, added, or taken out (``...``)."""
    whole = document(name)
    *parents, last = path.split(".")
    inner: Any = whole
    for step in parents:
        inner = inner[int(step) if step.isdigit() else step]
    if isinstance(inner, list):
        inner[int(last)] = value
    elif value is ...:
        del inner[last]
    else:
        inner[last] = value
    return spelled(name, canonical(whole), says, error)


def faults() -> dict[str, Fault]:
    """Every fault: the file, the error it meets, and what that says."""
    return {**_types(), **_spellings(), **_fields(), **_forms(), **_rounds(), **_others()}


def _types() -> dict[str, Fault]:
    return {
        "version-0": typed(kind_type("vote", "0"), TooOldError, "version 0"),
        "version-2": typed(kind_type("vote", "2"), TooNewError, "version 2"),
        "version-with-a-zero-before": typed(kind_type("vote", "01"), MalformedError, "no payload type"),
        "version-missing": typed("application/vnd.umm.vote+json", MalformedError, "no payload type"),
        "version-with-words": typed(kind_type("vote", "1.0"), MalformedError, "no payload type"),
        "version-in-other-digits": typed(kind_type("vote", "١"), MalformedError, "no payload type"),
        "version-beyond-counting": typed(kind_type("vote", "9" * 5000), MalformedError, "no payload type"),
        "kind-unknown": typed(kind_type("bribe"), MalformedError, "'bribe' is no kind of record"),
        "kind-in-upper-case": typed(kind_type("Vote"), MalformedError, "no payload type"),
        "kind-empty": typed(kind_type(""), MalformedError, "no payload type"),
        "kind-of-another": typed(kind_type("ballot"), MalformedError, "unknown field 'stage'"),
        "type-without-space": typed("application/vnd.umm.vote+json;v=1", MalformedError, "no payload type"),
        "type-of-someone-else": typed("application/vnd.in-toto+json", MalformedError, "no payload type"),
        "type-with-a-tail": typed(kind_type("vote") + "; v=1", MalformedError, "no payload type"),
    }


def _spellings() -> dict[str, Fault]:
    good = ALL["vote"].record.payload()
    title = ALL["round"].record.payload().replace(b"A reasoning", rb"\u0041 reasoning")
    return {
        "payload-empty": spelled("vote", b"", "not JSON"),
        "payload-a-list": spelled("vote", b"[]", "not a JSON object"),
        "payload-too-large": spelled("vote", good + b" " * (16 * 1024), "at most 16384", TooLargeError),
        "spelled-with-spaces": spelled("vote", good.replace(b",", b", "), "canonical"),
        "spelled-with-a-newline": spelled("vote", good + b"\n", "canonical"),
        "spelled-in-another-order": spelled(
            "vote", b'{"stage":"lock",' + good[1:].replace(b',"stage":"lock"', b""), "canonical"
        ),
        "spelled-with-an-escape": spelled("round", title, "canonical"),
        "spelled-with-an-escaped-slash": spelled(
            "contribution", ALL["contribution"].record.payload().replace(b"https://", rb"https:\/\/"), "canonical"
        ),
    }


def _fields() -> dict[str, Fault]:
    return {
        "field-unknown": changed("vote", "bribe", "1 BTC", "vote has the unknown field 'bribe'"),
        "field-unknown-inside": changed(
            "round", "schedule.lunch", START, "round.schedule has the unknown field 'lunch'"
        ),
        "field-missing": changed("vote", "roster", ..., "vote lacks the field roster"),
        "field-missing-inside": changed("round", "base.root", ..., "round.base lacks the field root"),
        "field-missing-in-a-list": changed(
            "contribution", "claims.0.score", ..., "contribution.claims[0] lacks the field score"
        ),
        "field-null": changed("round", "description", None, "round.description must be text, not null"),
        "field-null-that-must-be-there": changed("vote", "roster", None, "vote.roster must be text, not null"),
        "field-an-empty-list": changed("contribution", "claims", [], "contribution.claims lists 0 values"),
        "field-a-list-for-an-object": changed("round", "base", [], "round.base must be an object"),
        "author-missing": changed("vote", "author", ..., "vote lacks the field author"),
        "author-not-a-point": changed("vote", "author", "04" + HEX, "vote.author is no compressed point"),
    }


def _forms() -> dict[str, Fault]:
    return {
        "digest-in-upper-case": changed("vote", "roster", HEX.upper(), "vote.roster"),
        "digest-short": changed("vote", "roster", HEX[:-2], "64 lower-case hexadecimal digits"),
        "digest-of-odd-length": changed("vote", "roster", HEX[:-1], "64 lower-case hexadecimal digits"),
        "digest-long": changed("vote", "roster", HEX + "00", "64 lower-case hexadecimal digits"),
        "digest-a-number": changed("vote", "roster", 5, "vote.roster must be text, not an integer"),
        "digest-in-other-digits": changed("vote", "roster", "٣" * 64, "64 lower-case hexadecimal digits"),
        "integer-true": changed("vote", "attempt", True, "vote.attempt must be an integer, not true or false"),
        "integer-as-text": changed("vote", "attempt", "1", "vote.attempt must be an integer, not text"),
        "integer-negative": changed("vote", "attempt", -1, "vote.attempt is -1; 0 to 127 are allowed"),
        "integer-too-large": changed("vote", "attempt", 128, "vote.attempt is 128"),
        "integer-beyond-53-bits": changed("contribution", "claims.0.items", 2**53, "contribution.claims[0].items"),
        "size-beyond-a-tebibyte": changed("contribution", "size", (1 << 40) + 1, "contribution.size is"),
        "size-none": changed("contribution", "size", 0, "contribution.size is 0"),
        "time-in-milliseconds": changed("round", "schedule.merge_closes", START * 1000, "round.schedule.merge_closes"),
        "decimal-a-number": changed("contribution", "norm", 1, "contribution.norm must be text"),
        "decimal-with-an-exponent": changed("contribution", "norm", "1e3", "contribution.norm is '1e3'"),
        "decimal-with-a-plus": changed("contribution", "norm", "+1", "not a decimal"),
        "decimal-with-a-zero-before": changed("contribution", "norm", "01", "not a decimal"),
        "decimal-with-a-zero-behind": changed("contribution", "norm", "1.50", "not a decimal"),
        "decimal-minus-zero": changed("contribution", "norm", "-0", "not a decimal"),
        "decimal-without-digits": changed("contribution", "norm", ".5", "not a decimal"),
        "decimal-with-a-comma": changed("contribution", "norm", "1,5", "not a decimal"),
        "decimal-not-a-number": changed("contribution", "norm", "nan", "not a decimal"),
        "decimal-in-other-digits": changed("contribution", "norm", "١", "not a decimal"),
        "decimal-too-long": changed("contribution", "norm", "1" * 19, "not a decimal"),
        "decimal-negative-norm": changed("contribution", "norm", "-1", "cannot be negative"),
        "text-empty": changed("round", "title", "", "round.title has 0 characters"),
        "text-too-long": changed("round", "title", "x" * 121, "round.title has 121 characters"),
        "text-with-a-space-before": changed("round", "title", " x", "round.title begins or ends with a space"),
        "text-with-a-newline": changed("round", "title", "a\nb", "control character"),
        "text-that-turns-around": changed("round", "title", "a\u202eb", "control character"),
        "word-unknown": changed("vote", "stage", "maybe", "vote.stage is 'maybe'; it is one of: decide, lock"),
        "word-in-upper-case": changed("contribution", "kind", "Delta", "contribution.kind is 'Delta'"),
        "domain-with-a-space": changed("contribution", "domain", "two words", "contribution.domain"),
        "licence-of-any-text": changed("contribution", "licence", "mine, all mine", "identifier of a licence"),
        "location-of-a-file": changed("contribution", "locations.0", "file:///etc/passwd", "contribution.locations[0]"),
        "location-over-http": changed("contribution", "locations.0", "http://host/", "contribution.locations[0]"),
        "location-with-a-query": changed("contribution", "locations.0", "https://host/?q", "contribution.locations[0]"),
        "location-with-a-fragment": changed(
            "contribution", "locations.0", "https://host/#f", "contribution.locations[0]"
        ),
        "location-up-the-hub": changed("contribution", "locations.0", "hf://../..@main", "contribution.locations[0]"),
        "location-with-a-password": changed(
            "contribution", "locations.0", "https://me:secret@host/", "contribution.locations[0]"
        ),
        "location-with-a-space": changed(
            "contribution", "locations.0", "https://host/a b", "contribution.locations[0]"
        ),
        "location-without-a-revision": changed("round", "base.locations.0", "hf://umm/base", "round.base.locations[0]"),
        "list-in-descending-order": changed(
            "proposal", "timeouts", sorted(TWO, reverse=True), "not in ascending order"
        ),
        "list-with-a-repetition": changed("proposal", "timeouts", TWO[:1] * 2, "proposal.timeouts[1] repeats a value"),
        "list-too-long": changed("proposal", "ballots", [f"{n:064x}" for n in range(32)], "lists 32 values; 1 to 31"),
        "list-an-object": changed("round", "kinds", {"delta": 1}, "round.kinds must be a list"),
        "list-of-numbers": changed("round", "stewards", [1], "round.stewards[0] must be text"),
    }


def _rounds() -> dict[str, Fault]:
    sub = "schedule."
    return {
        "round-without-stewards": changed("round", "stewards", [], "round.stewards lists 0 values"),
        "round-with-a-steward-on-no-curve": changed("round", "stewards", ["02" + "ff" * 32], "stewards[0]"),
        "round-with-32-stewards": changed("round", "stewards", [f"02{n:064x}" for n in range(32)], "1 to 31"),
        "round-with-an-allowed-key-on-no-curve": changed(
            "round", "admission.keys", ["02" + "ff" * 32], "admission.keys[0]"
        ),
        "round-without-prompts": changed("round", "prompts", ..., "prompts if and only if"),
        "round-with-prompts-for-nobody": changed("round", "kinds", ["delta"], "prompts if and only if"),
        "round-without-a-kind": changed("round", "kinds", [], "round.kinds lists 0 values"),
        "round-with-a-base-nowhere": changed("round", "base", {"root": HEX}, "nowhere"),
        "round-with-two-recipes": changed("round", "recipe.blob", HEX, "either text or a blob"),
        "round-without-a-recipe": changed("round", "recipe", {}, "either text or a blob"),
        "round-that-closes-before-it-opens": changed(
            "round", sub + "commit_closes", START, "must be after commit_opens"
        ),
        "round-with-phases-out-of-order": changed(
            "round", sub + "roster_closes", START + 7200, "must be after reveal_closes"
        ),
        "round-without-time-to-reveal": changed("round", sub + "reveal_closes", START + 3606, "nobody time to reveal"),
        "round-of-a-hundred-years": changed("round", sub + "merge_closes", START + 3_155_760_000, "takes more than"),
        "round-for-nobody": changed("round", "admission.contributions", 0, "admission.contributions is 0"),
        "round-of-too-many": changed("round", "admission.contributions", 100_001, "admission.contributions is 100001"),
        "round-with-a-negative-norm": changed("round", "admission.max_norm", "-1", "cannot be negative"),
    }


def _others() -> dict[str, Fault]:
    endorsements = document("result")["endorsements"]
    votes = document("timeout")["lock"]["votes"]
    text = {"text": "é" * 6000}
    crowd = [f"https://{'h' * 480}/{n}" for n in range(8)]
    whole = document("result") | {"recipe": text, "locations": crowd}
    return {
        "delta-without-a-base": changed("contribution", "base", ..., "lacks the field base"),
        "delta-with-prompts": changed("contribution", "prompts", HEX, "no use for the field prompts"),
        "distributions-without-prompts": changed("distributions", "prompts", ..., "lacks the field prompts"),
        "distributions-with-a-base": changed("distributions", "base", HEX, "no use for the field base"),
        "distributions-with-a-norm": changed("distributions", "norm", "1", "no use for the field norm"),
        "contribution-with-a-claim-too-many": changed(
            "contribution", "claims", document("contribution")["claims"] * 33, "contribution.claims lists 33 values"
        ),
        "salt-short": changed("contribution", "salt", HEX[:32], "contribution.salt"),
        "proposal-without-its-timeouts": changed("proposal", "timeouts", ..., "carries timeouts if and only if"),
        "proposal-with-timeouts-of-nothing": changed("proposal", "attempt", 0, "carries timeouts if and only if"),
        "timeout-with-a-lock-from-the-future": changed("timeout", "lock.attempt", 2, "timeout.lock is of attempt 2"),
        "timeout-locked-by-nobody": changed("timeout", "lock.votes", [], "timeout.lock.votes lists 0 values"),
        "timeout-locked-by-one-twice": changed(
            "timeout", "lock.votes", votes[:1] * 3, "lock.votes are not in ascending"
        ),
        "timeout-locked-out-of-order": changed("timeout", "lock.votes", votes[::-1], "lock.votes are not in ascending"),
        "result-without-endorsements": changed("result", "endorsements", [], "result.endorsements lists 0 values"),
        "result-endorsed-by-one-twice": changed(
            "result", "endorsements", endorsements[:1] * 3, "endorsements are not in ascending order"
        ),
        "result-endorsed-out-of-order": changed(
            "result", "endorsements", endorsements[::-1], "endorsements are not in ascending order"
        ),
        "result-with-half-a-signature": changed(
            "result", "endorsements.0.signature", "30", "endorsements[0].signature"
        ),
        "result-too-large": spelled("result", canonical(whole), "at most 16384", TooLargeError),
        "attestation-without-a-recipe": changed("attestation", "recipe", ..., "attestation lacks the field recipe"),
        "vote-without-a-revision": changed("vote", "revision", ..., "vote lacks the field revision"),
        "vote-of-revision-1000": changed("vote", "revision", 1000, "vote.revision is 1000; 0 to 999 are allowed"),
        "revision-0": changed("revision", "revision", 0, "revision.revision is 0"),
        "revision-of-nothing": changed("revision", "removed", [], "revision.removed lists 0 values"),
    }


def main() -> None:
    """Write the files that differ."""
    for name, (data, _, _) in faults().items():
        (FOLDER / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
