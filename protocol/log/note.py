"""Signed notes (https://c2sp.org/signed-note): text, an empty line, then lines with signatures over the text.

Rules:

1. At most ``MAX_NOTE_BYTES`` of UTF-8, no control character but the newline, 1 to ``MAX_SIGNATURES`` signatures. The
   text ends in a newline; the last empty line of the note divides it from the signatures.
2. A signature line is ``— <key name> <base64 of key id and signature>``. A key name is not empty and has neither spaces
   nor a plus sign.
3. The text means nothing before ``verify`` has passed. Lines of other keys are passed over; a line with our key's name
   and id has to hold.
4. Our signatures are of type 2, ECDSA: over SHA-256 of the text, in DER; the key id is the beginning of the SHA-256 of
   the key's SubjectPublicKeyInfo. A key is handed on as ``<key name>+<hex of key id>+<base64 of type and key>``.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from protocol.errors import ForgedError, MalformedError, TooLargeError
from protocol.identity import Key, PublicKey
from protocol.strict import from_base64, shown, to_base64

MAX_NOTE_BYTES = 128 * 1024
"""Sixteen signatures of 5 kB each, as the specification has them in mind, and their names."""

MAX_SIGNATURES = 16
"""Lines; the fewest that a reader may allow."""

MAX_KEY_NAME_BYTES = 1024

KEY_ID_BYTES = 4

ECDSA = 2
"""The type byte of our signatures."""

DASH = "\u2014 "


@dataclass(frozen=True)
class NoteSignature:
    """One line; what its bytes are depends on the key."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        _check_key_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES or not self.signature:
            raise MalformedError("a note's signature has a key id of 4 bytes and at least one byte behind it")

    @classmethod
    def parse(cls, line: str) -> Self:
        """A line without its newline."""
        dash, _, rest = line.partition(" ")
        name, space, text = rest.partition(" ")
        if f"{dash} " != DASH or not space:
            raise MalformedError(f"a note's signature line reads {shown(line)}")
        data = from_base64(text, "a note's signature", MAX_NOTE_BYTES)
        return cls(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])

    def encode(self) -> str:
        """The line with its newline."""
        return f"{DASH}{self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True)
class NoteKey:
    """Whose signature counts: a key under a name."""

    name: str
    public: PublicKey

    def __post_init__(self) -> None:
        _check_key_name(self.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A key as it is handed on."""
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise MalformedError("a note's key has three parts with a plus sign between them")
        data = from_base64(parts[2], "a note's key", MAX_NOTE_BYTES)
        if data[:1] != bytes([ECDSA]):
            raise MalformedError(f"a note's key is of the type {data[:1].hex()}; only 02, ECDSA, is known")
        made = cls(parts[0], PublicKey.from_der(data[1:]))
        if made.id.hex() != parts[1]:
            raise MalformedError(f"a note's key has the id {made.id.hex()}, not {shown(parts[1])}")
        return made

    def encode(self) -> str:
        """The key as it is handed on."""
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([ECDSA]) + self.public.der)}"

    @cached_property
    def id(self) -> bytes:
        """Four bytes to find the key by; they prove nothing."""
        return hashlib.sha256(self.public.der).digest()[:KEY_ID_BYTES]


@dataclass(frozen=True)
class Note:
    """A text and who claims to have signed it."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith("\n"):
            raise MalformedError("a note's text does not end in a newline")
        _check_characters(self.text)
        if not self.signatures:
            raise MalformedError("a note has no signatures")
        _check_count(len(self.signatures))
        _check_length(len(self.encode()))

    @classmethod
    def sign(cls, text: str, name: str, key: Key) -> Self:
        """A note with one signature."""
        signer = NoteKey(name, key.public)
        return cls(text, (NoteSignature(name, signer.id, key.sign_raw(text.encode())),))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """A note that nobody has vouched for yet."""
        _check_length(len(data))
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError("a note is not UTF-8") from None
        begin, divider, lines = whole.rpartition("\n\n")
        if not divider:
            raise MalformedError("a note has no empty line before its signatures")
        if not lines.endswith("\n"):
            raise MalformedError("a note does not end in a newline behind a signature")
        _check_count(lines.count("\n"))
        return cls(begin + "\n", tuple(NoteSignature.parse(line) for line in lines[:-1].split("\n")))

    def encode(self) -> bytes:
        """The bytes that ``parse`` reads."""
        return (self.text + "\n" + "".join(signature.encode() for signature in self.signatures)).encode()

    def verify(self, key: NoteKey) -> None:
        """Refuse a note that this key did not sign."""
        named = [s.signature for s in self.signatures if (s.name, s.key_id) == (key.name, key.id)]
        if not named:
            raise ForgedError(f"the note is not signed by {shown(key.name)} with the key {key.id.hex()}")
        for signature in named:
            key.public.verify_raw(signature, self.text.encode())


def _check_length(length: int) -> None:
    if length > MAX_NOTE_BYTES:
        raise TooLargeError(f"a note of {length} bytes; at most {MAX_NOTE_BYTES} are allowed")


def _check_count(signatures: int) -> None:
    if signatures > MAX_SIGNATURES:
        raise TooLargeError(f"a note has {signatures} signatures; at most {MAX_SIGNATURES} are allowed")


def _check_characters(text: str) -> None:
    if any(character < " " and character != "\n" for character in text):
        raise MalformedError("a note holds a control character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedError("a note holds a lone surrogate") from None


def _check_key_name(name: str) -> None:
    _check_characters(name)
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedError(f"a note's key has the name {shown(name)}; it has neither spaces nor a plus sign")
    if len(name.encode()) > MAX_KEY_NAME_BYTES:
        raise TooLargeError(f"a note's key has a name of more than {MAX_KEY_NAME_BYTES} bytes")
