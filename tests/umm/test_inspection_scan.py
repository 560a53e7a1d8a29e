"""Looking at real folders, and showing what was found."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from umm.errors import CheckpointError, EnvironmentFault, MismatchError
from umm.inspection import figure, shares
from umm.inspection import scan as scanning
from umm.inspection.caution import cautions
from umm.inspection.document import FORMAT, document
from umm.inspection.page import page
from umm.inspection.report import Report
from umm.inspection.scan import names, scan, worker_bytes
from umm.inspection.table import WIDTH, text

Tensors = dict[str, torch.Tensor]
BUDGET = 512 << 20
LAYERS, WIDE, VOCABULARY = 3, 16, 300


def small_model(seed: int = 0) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    shapes = {"model.embed_tokens.weight": (VOCABULARY, WIDE), "model.norm.weight": (WIDE,)}
    for layer in range(LAYERS):
        shapes[f"model.layers.{layer}.self_attn.q_proj.weight"] = (WIDE, WIDE)
        shapes[f"model.layers.{layer}.mlp.down_proj.weight"] = (WIDE, 3 * WIDE)
    return {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}


def moved(model: Tensors, seed: int, size: float) -> Tensors:
    noise = small_model(seed)
    return {name: value + size * noise[name] for name, value in model.items()}


def save(folder: Path, model: Tensors, dtype: torch.dtype = torch.bfloat16) -> Path:
    folder.mkdir()
    save_file({name: value.to(dtype) for name, value in model.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"num_hidden_layers": LAYERS}))
    return folder


def look(base: Path, *experts: Path, threads: int = 1) -> Report:
    return scan(base, experts, threads=threads, memory=BUDGET, progress=lambda done, size: None)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Report:
    root, base = tmp_path_factory.mktemp("models"), small_model()
    folders = [save(root / f"expert<{i}>", moved(base, 1 + i, 0.05 + 0.2 * (i == 2))) for i in range(3)]
    return look(save(root / "base", base), *folders, save(root / "same", base))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_scan_agrees_with_torch(dtype: torch.dtype, tmp_path: Path) -> None:
    base, expert = small_model(), moved(small_model(), 1, 0.1)
    report = look(save(tmp_path / "base", base, dtype), save(tmp_path / "expert", expert, dtype))
    for one in report.looks:
        start = base[one.subject.name].to(dtype).float()
        delta = expert[one.subject.name].to(dtype).float() - start
        assert shares.norms(one.sums)[0] == pytest.approx(float(delta.double().norm()), rel=1e-6)
        assert one.sums.base_energy == pytest.approx(float(start.double().square().sum()))
        assert one.sums.peak[0] == float(delta.abs().max())
        assert one.sums.zeros[0] == int((delta == 0).sum())
        seen = one.spectra[0]
        if seen is not None and seen.rows == one.subject.shape[0]:  # else only a sample of it
            energies = torch.linalg.svdvals(delta.double()) ** 2
            assert seen.top == pytest.approx(float(energies[0] / energies.sum()), rel=1e-3)


def test_layers_kinds_and_the_rest_are_told_apart(found: Report) -> None:
    assert list(found.layers()) == [0, 1, 2, None]
    assert [kind.value for kind in found.kinds()] == ["attn.q", "mlp.down", "norm", "embedding"]
    assert found.total.sums.count == sum(group.sums.count for group in found.layers().values())
    assert found.total.tensors == len(found.looks) == 8


def test_threads_and_tiles_do_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, expert = save(tmp_path / "base", small_model()), save(tmp_path / "e", moved(small_model(), 1, 0.1))
    monkeypatch.setattr(scanning, "STRETCH", 2 * WIDE)
    alone, together = (document(look(base, expert, threads=n), ()) for n in (1, 4))
    assert alone == together
    monkeypatch.setattr(scanning, "TILE", 3 * WIDE)
    monkeypatch.setattr(scanning, "STRETCH", 10 * WIDE)
    tiled = look(base, expert)
    assert tiled.total.sums.zeros[0] == alone["total"]["deltas"][0]["zero"] * tiled.total.sums.count
    assert shares.norms(tiled.total.sums)[0] == pytest.approx(alone["total"]["deltas"][0]["norm"], rel=1e-12)


def test_progress_ends_with_all_bytes_read(tmp_path: Path) -> None:
    base, expert = save(tmp_path / "base", small_model()), save(tmp_path / "e", small_model())
    steps: list[tuple[int, int]] = []
    scan(base, [expert], threads=2, memory=BUDGET, progress=lambda done, size: steps.append((done, size)))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


def test_few_changed_rows_of_an_embedding_are_found(tmp_path: Path) -> None:
    base = small_model()
    expert = {name: value.clone() for name, value in base.items()}
    expert["model.embed_tokens.weight"][[5, 250]] += 1
    report = look(save(tmp_path / "base", base), save(tmp_path / "e", expert))
    spikes = [caution for caution in cautions(report) if caution.code == "spikes"]
    assert len(spikes) == 1
    rows = next(one.rows[0] for one in report.looks if one.rows[0])
    assert sorted(rows.top[:2]) == [5, 250]


def test_added_tokens_and_integer_buffers_do_not_stop_a_look(tmp_path: Path) -> None:
    base, expert = small_model(), moved(small_model(), 1, 0.05)
    grown = torch.cat([expert["model.embed_tokens.weight"], torch.ones(7, WIDE)])
    here, there = save(tmp_path / "base", base), tmp_path / "grown"
    there.mkdir()
    integers = {"model.layers.0.mask": torch.ones(4, dtype=torch.int64)}
    save_file({**expert, "model.embed_tokens.weight": grown, **integers}, there / "model.safetensors")
    (there / "config.json").write_text("{}")
    report = look(here, there)
    assert report.vocabularies[0].experts == (VOCABULARY + 7,)
    assert "vocabulary" in [caution.code for caution in cautions(report)]


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    other = {name.replace("down_proj", "up_proj"): value for name, value in small_model().items()}
    with pytest.raises(MismatchError, match=r"down_proj\.weight: missing in other"):
        look(save(tmp_path / "base", small_model()), save(tmp_path / "other", other))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_broken_expert_is_named(value: float, tmp_path: Path) -> None:
    broken = small_model()
    broken["model.norm.weight"][3] = value
    with pytest.raises(CheckpointError, match=r"model\.norm\.weight holds NaN or infinity in broken;"):
        look(
            save(tmp_path / "base", small_model()),
            save(tmp_path / "fine", small_model()),
            save(tmp_path / "broken", broken),
        )


def test_a_budget_too_small_for_one_thread_is_refused(tmp_path: Path) -> None:
    base = save(tmp_path / "base", small_model())
    with pytest.raises(EnvironmentFault, match="raise --memory"):
        scan(base, [base], threads=8, memory=worker_bytes(1) - 1, progress=lambda done, size: None)


def test_experts_are_called_by_their_folders_unless_these_repeat() -> None:
    assert names([Path("x/a"), Path("x/b")]) == ["a", "b"]
    assert names([Path("x/a"), Path("y/a")]) == [str(Path("x/a")), str(Path("y/a"))]
    assert names([Path("x/a"), Path("x/a")]) == ["x/a #1", "x/a #2"]


def test_the_text_fits_a_terminal_and_says_everything(found: Report) -> None:
    shown = text(found, cautions(found))
    assert max(len(line) for line in shown.splitlines()) <= WIDTH
    for word in ("attn.q", "outside", "cosine", "danger:", "an expert equals the base"):
        assert word in shown


def test_one_expert_alone_has_no_signs_and_no_pairs(tmp_path: Path) -> None:
    base = save(tmp_path / "base", small_model())
    report = look(base, base)
    for shown in (text(report, ()), page(report, ())):
        assert "cosine" not in shown.lower()
    assert "conflict" not in text(report, ())
    figure.draw(report, tmp_path / "look.png")


def test_many_experts_are_shown_in_several_tables(tmp_path: Path) -> None:
    base = save(tmp_path / "base", small_model())
    report = look(base, *[base] * 27)
    shown = text(report, ())
    assert max(len(line) for line in shown.splitlines()) <= WIDTH
    assert shown.count("‖δ‖/‖base‖ by kind") == 4
    assert "E27" in shown
    assert shown.endswith("no warnings")


def test_the_document_is_json_with_documented_keys(found: Report) -> None:
    plain = json.loads(json.dumps(document(found, cautions(found)), allow_nan=False))
    assert plain["format"] == FORMAT
    keys = {key for part in ("total", "kinds", "layers", "tensors", "warnings") for key in _keys(plain[part])}
    described = (Path(__file__).parents[2] / "docs" / "INSPECT.md").read_text()
    assert {key for key in keys | set(plain) if f"`{key}`" not in described} == set()


def _keys(value: object) -> set[str]:
    if isinstance(value, list):
        return {key for item in value for key in _keys(item)}
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in _keys(item)}
    return set()


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(found: Report) -> None:
    outline = _Outline()
    outline.feed(shown := page(found, cautions(found)))
    assert outline.open == []
    tags = [tag for tag, _ in outline.seen]
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert not [a for _, attributes in outline.seen for a in attributes if a in ("src", "href")]
    assert not re.search(r"https?://|url\(|@import", shown)
    assert tags.count("figure") == len(found.experts)
    assert "expert&lt;2&gt;" in shown
    assert "expert<2>" not in shown


def test_the_picture_is_a_png(found: Report, tmp_path: Path) -> None:
    figure.draw(found, tmp_path / "look.png")
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(EnvironmentFault, match="cannot write"):
        figure.draw(found, tmp_path / "nowhere" / "look.png")


def test_a_picture_without_matplotlib_says_how_to_get_it(
    found: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(EnvironmentFault, match=re.escape("pip install 'umm-node[plot]'")):
        figure.draw(found, tmp_path / "look.png")
