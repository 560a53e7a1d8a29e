"""``claims.jsonl``: signed records beside a signed folder."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from protocol import claims
from protocol.claims import MAX_CLAIMS, MAX_CLAIMS_BYTES, append, encode, parse, read
from protocol.envelope import MAX_PAYLOAD_BYTES, Envelope
from protocol.errors import EnvironmentFault, ForgedError, MalformedError, TooLargeError
from protocol.modelsigning import CLAIMS_FILE, replacing, sign_folder, verify_folder
from tests.protocol.modelsigning.faults import HOSTILE
from tests.protocol.modelsigning.faults import claims as faults
from tests.protocol.modelsigning.folders import KEY, OTHER, write

KIND = "application/vnd.umm.test+json; v=1"


def claim(number: int) -> Envelope:
    return Envelope.sign(KIND, b'{"number":%d}' % number, KEY)


FIRST, SECOND = claim(1), claim(2)


@pytest.mark.must("OMS-20")
def test_no_file_and_an_empty_file_mean_no_claims(tmp_path: Path) -> None:
    assert read(tmp_path / CLAIMS_FILE) == ()
    (tmp_path / CLAIMS_FILE).touch()
    assert read(tmp_path / CLAIMS_FILE) == ()


@pytest.mark.must("OMS-20", "OMS-21")
def test_claims_are_appended_in_order_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    assert append(path, FIRST) == (FIRST,)
    assert append(path, SECOND, claim(3)) == (FIRST, SECOND, claim(3))
    assert path.read_bytes() == b"".join(c.encode() + b"\n" for c in (FIRST, SECOND, claim(3)))
    assert read(path) == (FIRST, SECOND, claim(3))
    assert [p.name for p in tmp_path.iterdir()] == [CLAIMS_FILE]


@pytest.mark.must("OMS-22")
def test_a_claim_that_is_there_already_is_not_appended_again(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    append(path, FIRST, SECOND, FIRST)
    before = path.stat()
    assert append(path, SECOND) == (FIRST, SECOND)
    assert path.stat().st_ino == before.st_ino


def test_the_same_words_by_another_signer_are_another_claim(tmp_path: Path) -> None:
    other = Envelope.sign(KIND, FIRST.payload, OTHER)
    assert append(tmp_path / CLAIMS_FILE, FIRST, other) == (FIRST, other)
    assert read(tmp_path / CLAIMS_FILE) == (FIRST, other)


@pytest.mark.parametrize("name", faults())
@pytest.mark.must("OMS-20", "OMS-21", "OMS-22")
def test_a_faulty_file_is_refused_with_its_own_error(name: str) -> None:
    _, kind, message = faults()[name]
    with pytest.raises(kind) as refused:
        parse((HOSTILE / "claims" / f"{name}.bin").read_bytes())
    assert type(refused.value) is kind
    assert message in str(refused.value)


@pytest.mark.must("OMS-21")
def test_a_file_with_a_bad_line_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    path.write_bytes(FIRST.encode() + b"\nrubbish\n")
    with pytest.raises(MalformedError, match="claim 2"):
        append(path, SECOND)
    assert path.read_bytes().endswith(b"rubbish\n")
    assert [p.name for p in tmp_path.iterdir()] == [CLAIMS_FILE]


@pytest.mark.must("OMS-20")
def test_a_file_holds_as_many_claims_as_allowed_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    full = [claim(number) for number in range(MAX_CLAIMS)]
    assert len(append(path, *full)) == MAX_CLAIMS
    with pytest.raises(TooLargeError, match="513 claims"):
        append(path, claim(MAX_CLAIMS))
    assert len(read(path)) == MAX_CLAIMS


@pytest.mark.must("OMS-20")
def test_a_file_of_too_many_bytes_is_neither_read_nor_written(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    path.write_bytes(b"x" * (MAX_CLAIMS_BYTES + 1))
    with pytest.raises(TooLargeError, match="4194305 bytes"):
        read(path)
    large = Envelope.sign(KIND, bytes(MAX_PAYLOAD_BYTES), KEY)
    with pytest.raises(TooLargeError, match="bytes; at most 4194304"):
        encode([large] * 200)


@pytest.mark.must("OMS-24")
def test_a_link_or_a_pipe_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    append(tmp_path / "elsewhere", FIRST)
    (tmp_path / CLAIMS_FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MalformedError, match="not a plain file"):
        read(tmp_path / CLAIMS_FILE)
    (tmp_path / CLAIMS_FILE).unlink()
    os.mkfifo(tmp_path / CLAIMS_FILE)
    with pytest.raises(MalformedError, match="not a plain file"):
        read(tmp_path / CLAIMS_FILE)


def test_a_link_in_place_of_the_unfinished_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / f"{CLAIMS_FILE}.part").symlink_to(tmp_path / "precious")
    with pytest.raises(EnvironmentFault, match="cannot write"):
        append(tmp_path / CLAIMS_FILE, FIRST)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.must("OMS-23")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / CLAIMS_FILE
    append(path, FIRST)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(replacing, "write_exactly", full)
    with pytest.raises(EnvironmentFault, match="disk is full"):
        append(path, SECOND)
    assert read(path) == (FIRST,)
    assert [p.name for p in tmp_path.iterdir()] == [CLAIMS_FILE]


@pytest.mark.must("OMS-23")
def test_what_a_killed_writer_left_behind_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    append(path, FIRST)
    (tmp_path / f"{CLAIMS_FILE}.part").write_bytes(b"half a line" * 1000)
    assert read(path) == (FIRST,)
    assert append(path, SECOND) == (FIRST, SECOND)
    assert read(path) == (FIRST, SECOND)


@pytest.mark.must("OMS-23")
def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(path, claim(number)), range(24)))
    assert {c.payload for c in read(path)} == {claim(number).payload for number in range(24)}
    assert [p.name for p in tmp_path.iterdir()] == [CLAIMS_FILE]


@pytest.mark.must("OMS-23")
def test_writers_in_other_processes_wait_for_one_another(tmp_path: Path) -> None:
    path = tmp_path / CLAIMS_FILE
    context = get_context("fork")
    writers = [context.Process(target=append, args=(path, claim(number))) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=30)
    assert [writer.exitcode for writer in writers] == [0] * 6
    assert len(read(path)) == 6


@pytest.mark.must("OMS-15", "OMS-18")
def test_claims_can_be_added_to_a_folder_after_it_was_signed(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    bundle = sign_folder(folder, KEY)
    append(folder / CLAIMS_FILE, FIRST)
    assert verify_folder(folder, bundle, KEY.public).unsigned == (CLAIMS_FILE,)


def test_a_forged_claim_names_its_line() -> None:
    forged = SECOND.encode().replace(KEY.public.point.hex().encode(), OTHER.public.point.hex().encode())
    with pytest.raises(ForgedError, match=r"^claim 2: "):
        claims.parse(FIRST.encode() + b"\n" + forged + b"\n")
