"""``claims.jsonl``: the signed records that come with a model folder, one envelope per line.

It lies in the folder beside ``model.sig``, whose statement names it among the paths that it ignores: stewards attest
one after the other, after the folder was signed, and the stock verifier accepts the folder all the same. Every line
carries its own signature; what a claim is about stands in its payload.

Rules:

1. At most ``MAX_CLAIMS_BYTES`` and ``MAX_CLAIMS`` lines. Each line ends with one line feed and is not empty.
2. A line is an envelope that verifies, spelled as ``Envelope.encode`` spells it.
3. No claim comes twice: the same payload by the same signer.
4. The file is replaced as a whole, by one writer at a time: a reader never sees half of a line.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from protocol.blobs.disk import blaming_the_machine, read_up_to
from protocol.envelope import MAX_ENVELOPE_BYTES, Envelope
from protocol.errors import ForgedError, MalformedError, TooLargeError
from protocol.modelsigning.replacing import replace

MAX_CLAIMS = 512
MAX_CLAIMS_BYTES = 4 * 2**20


def parse(data: bytes) -> tuple[Envelope, ...]:
    """The claims in a file's bytes; each has been verified."""
    if len(data) > MAX_CLAIMS_BYTES:
        raise TooLargeError(f"the claims take {len(data)} bytes; at most {MAX_CLAIMS_BYTES} are allowed")
    if not data:
        return ()
    count = data.count(b"\n")
    if count > MAX_CLAIMS:
        raise TooLargeError(f"there are {count} claims; at most {MAX_CLAIMS} are allowed")
    *lines, rest = data.split(b"\n")
    if rest:
        raise MalformedError("the claims end in the middle of a line; fetch the file again")
    claims = tuple(_claim(line, number) for number, line in enumerate(lines, start=1))
    if len(set(map(_identity, claims))) != len(claims):
        raise MalformedError("the claims hold the same claim twice")
    return claims


def encode(claims: Iterable[Envelope]) -> bytes:
    """A file's bytes; the limits hold for what is written as for what is read."""
    lines = [claim.encode() + b"\n" for claim in claims]
    if len(lines) > MAX_CLAIMS:
        raise TooLargeError(f"there are {len(lines)} claims; at most {MAX_CLAIMS} are allowed")
    size = sum(map(len, lines))
    if size > MAX_CLAIMS_BYTES:
        raise TooLargeError(f"the claims take {size} bytes; at most {MAX_CLAIMS_BYTES} are allowed")
    return b"".join(lines)


def read(path: Path) -> tuple[Envelope, ...]:
    """The claims in the file at ``path``; none where there is no file. Only a plain file is read, no link followed."""
    with blaming_the_machine("read", path):
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise MalformedError(f"{path} is not a plain file; remove it")
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return ()
        try:
            data = read_up_to(fd, MAX_CLAIMS_BYTES + 1, 0)
        finally:
            os.close(fd)
    return parse(data)


def append(path: Path, *claims: Envelope) -> tuple[Envelope, ...]:
    """Add claims to the file at ``path``, except those it has; returns all that it now has."""
    now: tuple[Envelope, ...] = ()

    def content() -> bytes | None:
        nonlocal now
        before = read(path)
        new = {_identity(claim): claim for claim in claims}
        for claim in before:
            new.pop(_identity(claim), None)
        now = (*before, *new.values())
        return encode(now) if new else None

    replace(path, content)
    return now


def _identity(claim: Envelope) -> tuple[bytes, bytes]:
    """The same words by the same signer are the same claim, however often they signed."""
    return claim.id, claim.public.point


def _claim(line: bytes, number: int) -> Envelope:
    if len(line) > MAX_ENVELOPE_BYTES:
        raise TooLargeError(f"claim {number} takes {len(line)} bytes; at most {MAX_ENVELOPE_BYTES} are allowed")
    try:
        claim = Envelope.parse(line)
    except (ForgedError, MalformedError) as error:
        raise type(error)(f"claim {number}: {error}") from error
    if claim.encode() != line:
        raise MalformedError(f"claim {number} is not in the one spelling of an envelope")
    return claim
