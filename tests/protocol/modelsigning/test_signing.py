"""Signing a folder, and holding a folder to its signature."""

import os
import socket
from pathlib import Path
from threading import get_ident

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import EnvironmentFault, ForgedError, MalformedError, TooLargeError, UsageError
from protocol.modelsigning import (
    UNSIGNED,
    Bundle,
    Digests,
    Resource,
    Statement,
    sign_folder,
    verify_folder,
    write_bundle,
)
from protocol.modelsigning import folder as folder_module
from protocol.modelsigning.folder import HASHING_THREADS, digests, list_files
from protocol.modelsigning.statement import MAX_COMPONENTS, MAX_FILES
from tests.protocol.modelsigning.faults import bundles
from tests.protocol.modelsigning.folders import KEY, MODEL, OTHER, write


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a signature in it."""
    folder = write(tmp_path / "model")
    write_bundle(folder, sign_folder(folder, KEY))
    return folder


def signature(folder: Path) -> bytes:
    return (folder / "model.sig").read_bytes()


def signed_by_attacker(folder: Path, *, ignored: tuple[str, ...], leave_out: str) -> bytes:
    """A proper signature over less than the folder."""
    found = list_files(folder, UNSIGNED)
    names = [name for name in found.files if not name.startswith(leave_out)]
    return Bundle.sign(Statement.of("m", digests(found, names, len_).items(), ignored).payload(), KEY).encode()


def len_(count: int) -> int:
    return count


@pytest.mark.must("OMS-15", "OMS-16")
def test_a_signed_folder_is_accepted_and_reported(model: Path) -> None:
    report = verify_folder(model, signature(model), KEY.public)
    assert report.signer == KEY.public
    assert (report.files, report.size) == (len(MODEL), sum(map(len, MODEL.values())))
    assert report.unsigned == ("model.sig",)
    assert report.root == Statement.parse(Bundle.parse(signature(model)).payload).root


def test_the_same_folder_has_the_same_signature_bytes(model: Path) -> None:
    assert sign_folder(model, KEY) == signature(model)


@pytest.mark.must("OMS-16")
def test_one_flipped_bit_is_refused_and_named(model: Path) -> None:
    path = model / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ForgedError, match=r"changed 'model\.safetensors';"):
        verify_folder(model, signature(model), KEY.public)


@pytest.mark.must("OMS-16")
def test_one_added_file_is_refused_and_named(model: Path) -> None:
    (model / "tokenizer" / "more").touch()
    with pytest.raises(ForgedError, match="added 'tokenizer/more';"):
        verify_folder(model, signature(model), KEY.public)


@pytest.mark.must("OMS-16")
def test_one_removed_file_is_refused_and_named(model: Path) -> None:
    (model / "nothing.txt").unlink()
    with pytest.raises(ForgedError, match=r"missing 'nothing\.txt';"):
        verify_folder(model, signature(model), KEY.public)


def test_a_renamed_file_is_refused(model: Path) -> None:
    (model / "nothing.txt").rename(model / "Nothing.txt")
    with pytest.raises(ForgedError, match=r"added 'Nothing\.txt', missing 'nothing\.txt'"):
        verify_folder(model, signature(model), KEY.public)


def test_two_exchanged_files_are_refused(model: Path) -> None:
    for a, b in (("config.json", "x"), ("tokenizer.json", "config.json"), ("x", "tokenizer.json")):
        (model / a).rename(model / b)
    with pytest.raises(ForgedError, match=r"changed 'config\.json', 'tokenizer\.json'"):
        verify_folder(model, signature(model), KEY.public)


def test_a_name_that_steers_the_terminal_is_refused_and_printed_escaped(model: Path) -> None:
    (model / "\x1b[2Jx").touch()
    with pytest.raises(MalformedError, match=r"'\\x1b\[2Jx'"):
        verify_folder(model, signature(model), KEY.public)


def test_a_name_that_is_not_unicode_is_refused(model: Path) -> None:
    Path(os.fsdecode(os.fsencode(model) + b"/\xff")).touch()
    with pytest.raises(MalformedError, match="not Unicode"):
        sign_folder(model, KEY)


@pytest.mark.must("OMS-14")
def test_a_symbolic_link_is_refused_even_to_the_very_same_bytes(model: Path, tmp_path: Path) -> None:
    (model / "config.json").rename(tmp_path / "elsewhere")
    (model / "config.json").symlink_to(tmp_path / "elsewhere")
    for attempt in (lambda: verify_folder(model, signature(model), KEY.public), lambda: sign_folder(model, KEY)):
        with pytest.raises(MalformedError, match=r"'config\.json' in .* is a symbolic link"):
            attempt()


@pytest.mark.must("OMS-14")
def test_a_linked_folder_is_refused(model: Path, tmp_path: Path) -> None:
    (model / "tokenizer").rename(tmp_path / "elsewhere")
    (model / "tokenizer").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(MalformedError, match=r"'tokenizer' in .* is a symbolic link"):
        verify_folder(model, signature(model), KEY.public)


@pytest.mark.must("OMS-14")
def test_a_pipe_and_a_socket_are_refused_without_waiting_for_them(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(MalformedError, match=r"'pipe' in .* neither a file nor a folder"):
        verify_folder(model, signature(model), KEY.public)
    (model / "pipe").unlink()
    monkeypatch.chdir(model)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(MalformedError, match=r"'socket' in .* neither a file nor a folder"):
            sign_folder(model, KEY)


@pytest.mark.must("OMS-14")
def test_a_folder_reached_through_a_link_is_the_choice_of_who_verifies(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model, target_is_directory=True)
    assert verify_folder(tmp_path / "link", signature(model), KEY.public).files == len(MODEL)


@pytest.mark.must("OMS-14")
def test_empty_folders_do_not_count(model: Path) -> None:
    (model / "empty" / "er").mkdir(parents=True)
    assert verify_folder(model, signature(model), KEY.public).files == len(MODEL)


@pytest.mark.must("OMS-14")
def test_too_deep_and_too_many_are_refused_before_anything_is_hashed(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "MAX_FILES", 3)
    with pytest.raises(TooLargeError, match="7 files"):
        sign_folder(model, KEY)
    monkeypatch.setattr(folder_module, "MAX_FILES", MAX_FILES)
    monkeypatch.setattr(folder_module, "MAX_ENTRIES", 8)
    with pytest.raises(TooLargeError, match="more than 8"):
        sign_folder(model, KEY)
    monkeypatch.setattr(folder_module, "MAX_ENTRIES", 100)
    model.joinpath(*["d"] * (MAX_COMPONENTS + 1)).mkdir(parents=True)
    with pytest.raises(TooLargeError, match="33 levels deep"):
        sign_folder(model, KEY)


@pytest.mark.must("OMS-3", "OMS-5")
def test_only_the_trusted_key_counts(model: Path) -> None:
    with pytest.raises(ForgedError, match="another key"):
        verify_folder(model, signature(model), OTHER.public)
    with pytest.raises(ForgedError, match="another key"):
        verify_folder(model, sign_folder(model, OTHER), KEY.public)


def test_without_a_key_the_files_are_compared_and_nobody_is_named(model: Path) -> None:
    assert verify_folder(model, sign_folder(model, OTHER), None).signer is None
    (model / "README.md").write_text("another")
    with pytest.raises(ForgedError, match=r"changed 'README\.md'"):
        verify_folder(model, signature(model), None)


@pytest.mark.must("OMS-15", "OMS-18")
def test_what_is_left_out_may_come_and_go(model: Path) -> None:
    bundle = signature(model)
    for name in UNSIGNED:
        (model / name).write_text("anything")
    (model / ".git").unlink()
    write(model / ".git", {"objects/ab/cdef": b""})
    (model / ".git" / "link").symlink_to("/")
    assert verify_folder(model, bundle, KEY.public).unsigned == UNSIGNED


@pytest.mark.must("OMS-15", "OMS-18")
@pytest.mark.parametrize(
    "name", ["tokenizer/.git", "tokenizer/model.sig", "claims.json", "claims.jsonl.bak", ".gitmodules"]
)
def test_what_is_left_out_is_left_out_at_the_top_and_by_its_whole_name(model: Path, name: str) -> None:
    (model / name).touch()
    with pytest.raises(ForgedError, match=f"added '{name}'"):
        verify_folder(model, signature(model), KEY.public)


@pytest.mark.must("OMS-17")
def test_a_signer_cannot_leave_out_a_file_unnoticed(model: Path) -> None:
    bundle = signed_by_attacker(model, ignored=("tokenizer",), leave_out="tokenizer/")
    with pytest.raises(ForgedError, match=r"does not cover 'tokenizer/a\.json'"):
        verify_folder(model, bundle, KEY.public)
    assert verify_folder(model, bundle, KEY.public, unsigned=["tokenizer"]).unsigned == ("model.sig", "tokenizer")


@pytest.mark.must("OMS-17")
def test_accepting_something_unsigned_does_not_uncover_what_is_signed(model: Path) -> None:
    (model / "README.md").write_text("another")
    with pytest.raises(ForgedError, match=r"changed 'README\.md'"):
        verify_folder(model, signature(model), KEY.public, unsigned=["README.md"])


@pytest.mark.must("OMS-18")
def test_claims_are_left_out_only_where_the_signature_says_so(model: Path) -> None:
    (model / "claims.jsonl").touch()
    bundle = signed_by_attacker(model, ignored=(), leave_out="claims.jsonl")
    with pytest.raises(ForgedError, match=r"added 'claims\.jsonl'"):
        verify_folder(model, bundle, KEY.public)


@pytest.mark.must("OMS-18")
def test_a_signature_that_covers_git_files_holds_for_them(model: Path) -> None:
    (model / ".gitignore").write_text("a")
    found = list_files(model, ["model.sig"])
    statement = Statement.of("m", digests(found, found.files, len_).items(), ["model.sig"])
    bundle = Bundle.sign(statement.payload(), KEY).encode()
    assert verify_folder(model, bundle, KEY.public).files == len(MODEL) + 1
    (model / ".gitignore").write_text("b")
    with pytest.raises(ForgedError, match=r"changed '\.gitignore'"):
        verify_folder(model, bundle, KEY.public)


@pytest.mark.must("OMS-13")
def test_a_statement_that_covers_what_it_ignores_is_refused(model: Path) -> None:
    bundle = signed_by_attacker(model, ignored=("tokenizer",), leave_out="README")
    with pytest.raises(MalformedError, match="covers files beneath 'tokenizer'"):
        verify_folder(model, bundle, KEY.public)


@pytest.mark.must("OMS-11")
def test_a_name_that_leads_out_of_the_folder_is_refused_before_anything_is_read(model: Path) -> None:
    read: list[int] = []
    with pytest.raises(MalformedError, match="plain path"):
        verify_folder(model, bundles()["name-parent"][0], KEY.public, progress=read.append)
    assert read == []


@pytest.mark.must("OMS-11")
def test_only_files_found_in_the_folder_are_read_whatever_the_statement_names(model: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    statement = Statement("m", (Resource("gone/outside", bytes(32)),))
    (model / "gone").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(MalformedError, match="symbolic link"):
        verify_folder(model, Bundle.sign(statement.payload(), KEY).encode(), KEY.public)


@pytest.mark.must("OMS-19")
def test_known_digests_are_not_computed_again(model: Path) -> None:
    made = Digests()
    made.update(MODEL["model.safetensors"])
    read: list[int] = []
    known = {"model.safetensors": made.finish().sha256}
    assert sign_folder(model, KEY, known=known, progress=read.append) == signature(model)
    assert sum(read) == sum(map(len, MODEL.values())) - len(MODEL["model.safetensors"])


def test_a_known_digest_of_a_file_that_is_not_there_is_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="'other'"):
        sign_folder(model, KEY, known={"other": bytes(32)})


@pytest.mark.must("OMS-19")
@pytest.mark.parametrize("change", [b"", b"longer" * 1000])
def test_a_file_that_changes_while_it_is_read_stops_the_signing(model: Path, change: bytes) -> None:
    def interfere(_: int) -> None:
        (model / "model.safetensors").write_bytes(change)

    with pytest.raises(EnvironmentFault, match=r"model\.safetensors changed while it was being read"):
        sign_folder(model, KEY, progress=interfere)


def test_files_are_read_by_several_threads_in_pieces(model: Path) -> None:
    pieces: list[tuple[int, int]] = []
    verify_folder(model, signature(model), KEY.public, progress=lambda size: pieces.append((get_ident(), size)))
    assert sum(size for _, size in pieces) == sum(map(len, MODEL.values()))
    assert max(size for _, size in pieces) <= folder_module.READ_BYTES
    assert len({thread for thread, _ in pieces}) <= HASHING_THREADS


def test_a_failure_in_progress_ends_the_hashing(model: Path) -> None:
    def stop(_: int) -> None:
        raise UsageError("enough")

    with pytest.raises(UsageError, match="enough"):
        verify_folder(model, signature(model), KEY.public, progress=stop)


def test_what_is_no_folder_or_has_no_file_is_not_signed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        sign_folder(tmp_path / "none", KEY)
    with pytest.raises(UsageError, match="no file to sign"):
        sign_folder(tmp_path, KEY)
    (tmp_path / "model.sig").touch()
    with pytest.raises(UsageError, match="no file to sign"):
        sign_folder(tmp_path, KEY)


def test_a_folder_with_an_unprintable_name_can_be_signed(tmp_path: Path) -> None:
    folder = write(tmp_path / "a\nb")
    assert Statement.parse(Bundle.parse(sign_folder(folder, KEY)).payload).model == "model"


@pytest.mark.must("OMS-23")
def test_a_signature_is_replaced_as_a_whole_and_leaves_nothing_behind(model: Path) -> None:
    (model / "model.sig.part").write_text("left by a writer that was killed" * 1000)
    write_bundle(model, sign_folder(model, OTHER))
    assert verify_folder(model, signature(model), OTHER.public).unsigned == ("model.sig",)


def test_an_unwritable_folder_is_the_machines_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot write"):
        write_bundle(tmp_path / "none", b"x")


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_any_single_change_is_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    names = st.lists(st.sampled_from(["a", "b", "a.b", "é"]), min_size=1, max_size=2).map("/x".join)
    files = data.draw(st.dictionaries(names, st.binary(max_size=20), min_size=1, max_size=5))
    folder = write(tmp_path_factory.mktemp("any"), {f"{name}.f": content for name, content in files.items()})
    bundle = sign_folder(folder, KEY)
    assert verify_folder(folder, bundle, KEY.public).files == len(files)
    victim = folder / f"{data.draw(st.sampled_from(sorted(files)))}.f"
    match data.draw(st.sampled_from(["flip", "grow", "remove", "add"])):
        case "flip" if victim.stat().st_size:
            victim.write_bytes(bytes([victim.read_bytes()[0] ^ 1]) + victim.read_bytes()[1:])
        case "remove":
            victim.unlink()
        case "add":
            victim.with_name("new").touch()
        case _:
            victim.write_bytes(victim.read_bytes() + b"\0")
    with pytest.raises(ForgedError):
        verify_folder(folder, bundle, KEY.public)
