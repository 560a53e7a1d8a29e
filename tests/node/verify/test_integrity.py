"""Level 1 on real folders: what was changed is named, and what is beside the model is told of."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.lineage import LINEAGE_FILE
from node.verify.integrity import MANIFEST_FILE, claimed_manifest, compare, differing_chunks, look, spelled
from node.verify.report import FAILED, OK, UNREACHABLE, Finding, Gravity, Level, Report, State, What
from node.verify.strangers import strangers
from protocol.blobs.chunks import CHUNK_BYTES, ChunkList
from protocol.blobs.folder import FolderSource
from protocol.modelsigning import BUNDLE_FILE, sign_folder, write_bundle
from tests.node.verify import rounds
from tests.node.verify.rounds import World
from tests.protocol.blobs.folders import contents, model_folder, tensor_file, values
from tests.protocol.keys import key

TENSOR = "model.layers.0.self_attn.q_proj.weight"


def state(report: Report, level: Level) -> State:
    (check,) = [check for check in report.checks if check.level is level]
    return check.state


def found(report: Report, what: What) -> list[Finding]:
    return [finding for finding in report.findings if finding.what is what]


def test_an_honest_model_passes_both_cheap_levels_without_materials(honest: World) -> None:
    report = honest.verified(materials=False).report
    assert (report.code, report.root) == (OK, honest.step.outcome.record.root)
    assert [state(report, level) for level in (Level.INTEGRITY, Level.AUTHORITY)] == [State.PASSED, State.PASSED]
    assert [state(report, level) for level in (Level.AUDIT, Level.RECOMPUTE, Level.LINEAGE)] == [State.SKIPPED] * 3
    assert {finding.gravity for finding in report.findings} <= {Gravity.NOTE}


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def add(name: str, data: bytes = b"{}") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def drop_tensor(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.pop(TENSOR))


def rename_tensor(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"model.renamed.weight": tensors.pop(TENSOR)}))


def reshape_tensor(folder: Path) -> None:
    def flatten(tensors: dict[str, tuple[str, tuple[int, ...], bytes]]) -> None:
        dtype, shape, data = tensors[TENSOR]
        tensors[TENSOR] = (dtype, (shape[0] * shape[1],), data)

    rewrite(folder, flatten)


def rewrite(folder: Path, change: Callable[[dict[str, tuple[str, tuple[int, ...], bytes]]], object]) -> None:
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    tensors: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    with FolderSource(folder) as source:
        for entry in source.manifest.tensors:
            _, start, size = rounds.place_of(folder, entry.name)
            tensors[entry.name] = (entry.dtype, entry.shape, raw[start : start + size])
    change(tensors)
    path.write_bytes(tensor_file(tensors))


ATTACKS: dict[str, tuple[Callable[[Path], object], What, str]] = {
    "one bit of a tensor": (lambda f: rounds.flip(f, TENSOR), What.TENSOR_DIFFERS, TENSOR),
    "the last bit of a tensor": (lambda f: rounds.flip(f, TENSOR, 8 * 128 - 1), What.TENSOR_DIFFERS, TENSOR),
    "the config": (lambda f: rounds.configure(f, num_hidden_layers=1), What.FILE_DIFFERS, "config.json"),
    "a remote code entry in the config": (
        lambda f: rounds.configure(f, auto_map={"AutoModel": "modeling_x.X"}),
        What.FILE_DIFFERS,
        "config.json",
    ),
    "a tokenizer from nowhere": (add("tokenizer.json"), What.FILE_ADDED, "tokenizer.json"),
    "a chat template from nowhere": (add("chat_template.jinja"), What.FILE_ADDED, "chat_template.jinja"),
    "two tensors exchanged": (
        lambda f: rounds.exchange(f, TENSOR, "model.layers.1.self_attn.q_proj.weight"),
        What.TENSOR_DIFFERS,
        TENSOR,
    ),
    "a tensor left out": (drop_tensor, What.TENSOR_MISSING, TENSOR),
    "a tensor renamed, the new name": (rename_tensor, What.TENSOR_ADDED, "model.renamed.weight"),
    "a tensor renamed, the old name": (rename_tensor, What.TENSOR_MISSING, TENSOR),
    "a tensor of another shape": (reshape_tensor, What.TENSOR_DIFFERS, TENSOR),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_changed_is_named(name: str, pulled: World) -> None:
    attack, what, subject = ATTACKS[name]
    attack(pulled.model)
    report = pulled.verified(materials=False).report
    assert (report.code, state(report, Level.INTEGRITY)) == (FAILED, State.FAILED)
    assert found(report, What.ROOT_DIFFERS)
    assert subject in [finding.subject for finding in found(report, what)]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_missing_file_leaves_no_model_to_speak_of(file: str, pulled: World) -> None:
    remove(file)(pulled.model)
    report = pulled.verified(materials=False).report
    assert (report.code, report.root) == (FAILED, None)
    assert file in found(report, What.FOLDER_BROKEN)[0].text


def test_a_weight_file_that_was_cut_off_is_no_model(pulled: World) -> None:
    path = pulled.model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert found(pulled.verified(materials=False).report, What.FOLDER_BROKEN)


def test_a_link_out_of_the_folder_is_no_model(pulled: World, tmp_path: Path) -> None:
    path = pulled.model / "config.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert "link out of" in found(pulled.verified(materials=False).report, What.FOLDER_BROKEN)[0].text


def test_the_split_into_files_does_not_matter(pulled: World) -> None:
    files = contents(pulled.model)
    rewrite(pulled.model, lambda tensors: tensors.update({name: tensors.pop(name) for name in sorted(tensors)[::-1]}))
    assert contents(pulled.model)["model.safetensors"] != files["model.safetensors"]
    assert pulled.verified(materials=False).report.code == OK


def test_without_a_manifest_only_that_it_differs_is_known(pulled: World) -> None:
    remove(MANIFEST_FILE)(pulled.model)
    rounds.flip(pulled.model, TENSOR)
    report = pulled.verified(materials=False).report
    assert report.code == FAILED
    assert found(report, What.TENSOR_DIFFERS) == []
    assert "nobody can say which part differs" in found(report, What.ROOT_DIFFERS)[0].text


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x00" * 100], ids=["empty", "rubbish", "zeros"])
def test_a_broken_manifest_is_told_of_and_not_used(data: bytes, pulled: World) -> None:
    (pulled.model / MANIFEST_FILE).write_bytes(data)
    report = pulled.verified(materials=False).report
    assert [finding.gravity for finding in found(report, What.MANIFEST_WRONG)] == [Gravity.WARNING]
    assert report.code == OK


def test_the_manifest_of_another_model_is_not_believed(pulled: World) -> None:
    (pulled.model / MANIFEST_FILE).write_bytes(look(pulled.base).manifest.encode())  # type: ignore[union-attr]
    rounds.flip(pulled.model, TENSOR)
    report = pulled.verified(materials=False).report
    assert "in place of the one" in found(report, What.MANIFEST_WRONG)[0].text
    assert found(report, What.TENSOR_DIFFERS) == []


def test_the_chunks_that_differ_are_named_where_somebody_has_their_list(tmp_path: Path) -> None:
    data = bytearray(values(3 * CHUNK_BYTES + 16))
    right = model_folder(tmp_path / "right", {"w": ("U8", (len(data),), bytes(data))})
    data[CHUNK_BYTES] ^= 1
    data[-1] ^= 1
    wrong = model_folder(tmp_path / "wrong", {"w": ("U8", (len(data),), bytes(data))})
    manifest = look(right).manifest
    assert manifest is not None
    _, finding = compare(look(wrong), manifest.root, manifest, rounds.lists_of(right).get)
    assert finding.text.endswith("in chunks 1, 3 of 4")
    _, finding = compare(look(wrong), manifest.root, manifest)
    assert finding.text.endswith("somewhere in its 4 chunks; a peer can say in which")


@given(st.sets(st.integers(0, 30)))
def test_runs_of_chunks_are_spelled_short_and_whole(chunks: set[int]) -> None:
    text = spelled(sorted(chunks))
    if "…" in text or not chunks:
        return
    ends = [run.split("-") for run in text.split(" ", 1)[1].split(", ")]
    assert {i for end in ends for i in range(int(end[0]), int(end[-1]) + 1)} == chunks


def test_chunks_beyond_the_end_of_the_other_differ() -> None:
    short, long = ChunkList.of(b"a" * CHUNK_BYTES), ChunkList.of(b"a" * (2 * CHUNK_BYTES))
    assert differing_chunks(short, long) == (1,)


# -- beside the model --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "modeling_x.py",
        "pytorch_model.bin",
        "model-00002-of-00002.safetensors",
        "adapter_config.json",
        "sub/consolidated.00.pth",
        "weights.gguf",
        "LOADER.PY",
    ],
)
def test_a_file_that_a_program_might_load_is_warned_of_and_does_not_fail_the_model(name: str, pulled: World) -> None:
    (pulled.model / name).parent.mkdir(exist_ok=True)
    add(name)(pulled.model)
    report = pulled.verified(materials=False).report
    (finding,) = [f for f in found(report, What.NOT_COVERED) if f.gravity is Gravity.WARNING]
    assert (finding.subject, finding.advice, report.code) == (name, "do not load it; remove it", OK)


def test_harmless_files_are_listed_in_one_note(pulled: World) -> None:
    for number in range(12):
        add(f"notes-{number:02}.txt")(pulled.model)
    (finding,) = strangers(pulled.model)
    assert finding.gravity is Gravity.NOTE
    assert finding.text.endswith("'notes-07.txt' and 4 more")


def test_a_name_that_would_steer_a_terminal_is_escaped(pulled: World) -> None:
    add("\x1b[2Jmodeling.py")(pulled.model)
    (finding,) = strangers(pulled.model)
    assert "\x1b" not in finding.text


def test_links_beside_the_model_are_listed_and_not_followed(pulled: World) -> None:
    (pulled.model / "loop").symlink_to(pulled.model)
    (finding,) = strangers(pulled.model)
    assert "'loop'" in finding.text


def test_links_that_lead_round_in_a_circle_are_listed(pulled: World) -> None:
    (pulled.model / "a").symlink_to("b")
    (pulled.model / "b").symlink_to("a")
    (finding,) = strangers(pulled.model)
    assert "'a', 'b'" in finding.text


def test_a_folder_of_endlessly_many_files_is_not_listed_to_its_end(
    pulled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from node.verify import strangers as module

    for number in range(20):
        add(f"{number}.txt")(pulled.model)
    monkeypatch.setattr(module, "MAX_ENTRIES", 10)
    first, *_ = strangers(pulled.model)
    assert "more than 10 files" in first.text


# -- the OpenSSF bundle ------------------------------------------------------------------------------------------


def test_a_bundle_by_a_steward_is_checked_without_being_asked(pulled: World) -> None:
    write_bundle(pulled.model, sign_folder(pulled.model, key(12)))
    report = pulled.verified(materials=False).report
    assert report.code == OK
    assert f"model.sig by {key(12).public.name}" in report.checks[0].summary


def test_a_changed_file_breaks_the_bundle(pulled: World) -> None:
    write_bundle(pulled.model, sign_folder(pulled.model, key(12)))
    (pulled.model / "README.md").write_text("free money")
    report = pulled.verified(materials=False).report
    assert report.code == FAILED
    assert "changed 'README.md'" in found(report, What.SIGNATURE_WRONG)[0].text


def test_a_bundle_by_a_stranger_proves_nothing_and_is_said_to(pulled: World) -> None:
    write_bundle(pulled.model, sign_folder(pulled.model, key(77)))
    report = pulled.verified(materials=False).report
    assert report.code == OK
    assert [finding.gravity for finding in found(report, What.SIGNATURE_UNKNOWN)] == [Gravity.WARNING]


def test_a_key_that_was_given_must_have_signed(pulled: World) -> None:
    write_bundle(pulled.model, sign_folder(pulled.model, key(77)))
    assert pulled.verified(materials=False, key=key(77).public).report.code == OK
    assert pulled.verified(materials=False, key=key(78).public).report.code == FAILED
    remove(BUNDLE_FILE)(pulled.model)
    report = pulled.verified(materials=False, key=key(77).public).report
    assert (report.code, len(found(report, What.SIGNATURE_WRONG))) == (FAILED, 1)


# -- without records ---------------------------------------------------------------------------------------------


def test_a_folder_without_a_lineage_could_be_anything(pulled: World) -> None:
    remove(LINEAGE_FILE)(pulled.model)
    report = pulled.verified(materials=False).report
    assert (report.code, report.root) == (UNREACHABLE, pulled.step.outcome.record.root)
    assert (state(report, Level.AUTHORITY), report.believed) == (State.OPEN, None)


def test_a_broken_lineage_fails(pulled: World) -> None:
    path = pulled.model / LINEAGE_FILE
    path.write_bytes(path.read_bytes()[:-200])
    report = pulled.verified(materials=False).report
    assert report.code == FAILED
    assert found(report, What.LINEAGE_BROKEN)


def test_no_manifest_claims_nothing(tmp_path: Path, honest: World) -> None:
    assert claimed_manifest(tmp_path, honest.step.outcome.record) == (None, ())
