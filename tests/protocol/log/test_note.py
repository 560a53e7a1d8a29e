"""Signed notes: golden, the rules of C2SP one by one, and notes that are not what they seem."""

import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ForgedError, MalformedError, PeerError, TooLargeError
from protocol.log import Note, NoteKey
from protocol.log.note import MAX_NOTE_BYTES, MAX_SIGNATURES, NoteSignature
from tests.fuzz.fuzz_log import one
from tests.protocol.log.stories import HOSTILE, KEY, STRANGER, TRUSTED, VECTORS, signed

TEXT = "Ognuno sta solo\n\ned è subito sera.\n"
NAME = "quasimodo.example/salvatore"
MINE = NoteKey(NAME, KEY.public)
NOTE = Note.sign(TEXT, NAME, KEY)
FOREIGN = NoteSignature("witness.example", b"\xfa\xfb\xfc\xfd", bytes(2420))
"""Of a type that we do not know and do not have to."""

FAULTS: dict[str, tuple[type[PeerError], str]] = {
    "empty": (MalformedError, "no empty line before its signatures"),
    "not_utf8": (MalformedError, "is not UTF-8"),
    "carriage_returns": (MalformedError, "no empty line before its signatures"),
    "tab_in_the_text": (MalformedError, "holds a control character"),
    "escape_in_the_text": (MalformedError, "holds a control character"),
    "no_signatures": (MalformedError, "does not end in a newline behind a signature"),
    "no_last_newline": (MalformedError, "does not end in a newline behind a signature"),
    "text_behind_the_signature": (MalformedError, "signature line reads 'more'"),
    "hyphen_for_the_dash": (MalformedError, "signature line reads '- umm"),
    "signature_without_a_name": (MalformedError, "signature line reads"),
    "two_spaces_before_the_name": (MalformedError, "signature is not base64"),
    "plus_in_the_name": (MalformedError, "neither spaces nor a plus sign"),
    "no_break_space_in_the_name": (MalformedError, "neither spaces nor a plus sign"),
    "name_too_long": (TooLargeError, "name of more than 1024 bytes"),
    "base64_without_padding": (MalformedError, "is not base64"),
    "base64_for_urls": (MalformedError, "is not base64"),
    "base64_with_loose_bits": (MalformedError, "is not base64 in its one spelling"),
    "base64_with_a_space_behind": (MalformedError, "is not base64"),
    "key_id_alone": (MalformedError, "at least one byte behind it"),
    "seventeen_signatures": (TooLargeError, "17 signatures; at most 16"),
    "too_large": (TooLargeError, "note of 131073 bytes; at most 131072"),
}


@pytest.mark.must("LOG-2", "LOG-4")
def test_notes_and_key_are_golden() -> None:
    assert TRUSTED.encode() == VECTORS["vkey"]
    assert NoteKey.parse(VECTORS["vkey"]) == TRUSTED
    for golden in VECTORS["checkpoints"]:
        note = Note.parse(golden["note"].encode())
        assert note.encode().decode() == golden["note"]
        assert Note.sign(note.text, TRUSTED.name, KEY) == note
        note.verify(TRUSTED)


@pytest.mark.must("LOG-2")
def test_the_last_empty_line_divides_text_and_signatures() -> None:
    assert Note.parse(NOTE.encode()).text == TEXT
    for text in ("\n", "\n\n", "a\n\n\n", "a\n— b c\n\n"):
        assert Note.parse(Note.sign(text, NAME, KEY).encode()).text == text


@pytest.mark.must("LOG-4")
def test_the_signature_is_ecdsa_over_the_text_alone() -> None:
    line = NOTE.encode().decode().splitlines()[-1]
    raw = base64.b64decode(line.removeprefix(f"— {NAME} "))
    assert raw[:4] == hashlib.sha256(KEY.public.der).digest()[:4]
    KEY.public.verify_raw(raw[4:], TEXT.encode())
    assert raw[4:] == KEY.sign_raw(TEXT.encode())


@pytest.mark.must("LOG-3")
def test_lines_of_other_keys_are_passed_over() -> None:
    other = Note.sign(TEXT, NAME, STRANGER).signatures[0]  # the same name, another id
    renamed = NoteSignature("quasimodo.example/giorgio", *_parts(NOTE.signatures[0]))  # another name, the same id
    Note(TEXT, (FOREIGN, other, renamed, *NOTE.signatures)).verify(MINE)
    with pytest.raises(ForgedError, match="not signed by"):
        Note(TEXT, (FOREIGN, other, renamed)).verify(MINE)
    Note(TEXT, (FOREIGN,) * (MAX_SIGNATURES - 1) + NOTE.signatures).verify(MINE)


@pytest.mark.must("LOG-3")
def test_every_line_of_the_trusted_key_has_to_hold() -> None:
    wrong = NoteSignature(NAME, MINE.id, KEY.sign_raw(b"another text\n"))
    for lines in ((wrong,), (wrong, *NOTE.signatures), (*NOTE.signatures, wrong)):
        with pytest.raises(ForgedError):
            Note(TEXT, lines).verify(MINE)
    for junk in (b"\0", bytes(71), NOTE.signatures[0].signature + b"\0", NOTE.signatures[0].signature[:-1]):
        with pytest.raises(ForgedError):
            Note(TEXT, (NoteSignature(NAME, MINE.id, junk),)).verify(MINE)


@pytest.mark.must("LOG-3")
def test_a_note_with_one_bit_changed_does_not_open() -> None:
    note = signed(3)
    for at in range(len(note)):
        with pytest.raises((MalformedError, ForgedError)):
            Note.parse(note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]).verify(TRUSTED)


@pytest.mark.must("LOG-3")
def test_somebody_elses_id_on_a_line_helps_nobody() -> None:
    """Four bytes can be met by trying keys; they only choose the key to verify with."""
    claimed = NoteSignature(NAME, MINE.id, STRANGER.sign_raw(TEXT.encode()))
    with pytest.raises(ForgedError):
        Note(TEXT, (claimed,)).verify(MINE)


@pytest.mark.must("LOG-2")
def test_every_hostile_note_is_refused_with_its_own_error() -> None:
    assert set(FAULTS) <= {path.stem for path in HOSTILE.iterdir()}
    for name, (error, words) in FAULTS.items():
        with pytest.raises(error, match=words) as caught:
            Note.parse((HOSTILE / f"{name}.bin").read_bytes())
        assert type(caught.value) is error, name


@pytest.mark.must("LOG-2")
def test_notes_are_valid_once_built() -> None:
    line = NOTE.signatures[0]
    for build in (
        lambda: Note("no newline", (line,)),
        lambda: Note("a\tb\n", (line,)),
        lambda: Note("\ud800\n", (line,)),
        lambda: Note(TEXT, ()),
        lambda: Note(TEXT, (line,) * 17),
        lambda: Note("x" * MAX_NOTE_BYTES + "\n", (line,)),
        lambda: NoteSignature("", MINE.id, b"x"),
        lambda: NoteSignature("a b", MINE.id, b"x"),
        lambda: NoteSignature("a\nb", MINE.id, b"x"),
        lambda: NoteSignature("a", b"abc", b"x"),
        lambda: NoteSignature("a", MINE.id, b""),
        lambda: NoteKey("a+b", KEY.public),
    ):
        with pytest.raises(MalformedError):
            _call(build)


@pytest.mark.must("LOG-4")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("+", " ", 1), "has three parts|has the id"),
        (lambda text: text.split("+")[0], "has three parts"),
        (lambda text: text + "=", "not base64"),
        (lambda text: text[:-8], "SubjectPublicKeyInfo"),
        (lambda text: text.replace("+AjBZ", "+AzBZ"), "type 03; only 02, ECDSA"),
        (lambda text: text.replace("+AjBZ", "+ATBZ"), "type 01; only 02, ECDSA"),
        (lambda text: text[: text.index("+") + 1] + "00000000" + text[text.index("+") + 9 :], "has the id"),
        (lambda text: text[: text.index("+")] + text[text.index("+") :].upper(), "."),
        (lambda text: "+" + text, "."),
        (lambda text: "a b" + text, "spaces"),
        (lambda text: text.split("+")[0] + "+" + text.split("+")[1] + "+", "type "),
    ],
)
def test_a_key_in_another_spelling_is_refused(change: Callable[[str], str], words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        NoteKey.parse(change(VECTORS["vkey"]))


@settings(deadline=None)
@given(st.binary(max_size=120), st.text(max_size=60), st.integers(0, 200))
def test_any_bytes_are_a_note_or_refused_with_a_reason(data: bytes, text: str, at: int) -> None:
    one(data)
    golden = NOTE.encode()
    one(golden[:at] + text.encode() + golden[at:])


def _parts(line: NoteSignature) -> tuple[bytes, bytes]:
    return line.key_id, line.signature


def _call(build: Callable[[], object]) -> object:
    return build()
