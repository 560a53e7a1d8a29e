"""Both backends, any tile, any types and any path through a survey give the same bytes for every method."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from tests.umm.memory import BACKENDS, TORCH, WHOLE, Tensor, bits, field_of, merged, models, numbers
from tests.umm.settings import SETTINGS, Setting
from umm.arithmetic import philox_range
from umm.checkpoint.dtype import Dtype
from umm.forms import Window
from umm.methods import METHODS

B, H, F = Dtype.BF16, Dtype.F16, Dtype.F32

SHAPES: list[tuple[int, ...]] = [(), (1,), (7,), (9, 1), (5, 70), (3, 5, 7), (2, 1023), (2, 1025), (2, 2100)]
MIXTURES = [(B,), (H,), (F,), (B, H, F), (F, B)]
SAMPLED = {"sample_size": 64, "bins": 256, "tile_size": 1024}  # 1024: the third of the last shape's rows is cut


def ways(shape: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Every road from inputs to output that must lead to the same bytes as the reference in one piece."""
    row = shape[-1] if shape else 1
    size = torch.Size(shape).numel()
    tiles = {WHOLE, *([row] if row < size else []), *([2048] if size > 2048 else [])}
    for tile in sorted(tiles):
        yield {"backend": "numba", "tile_size": tile}
    if size > SAMPLED["sample_size"]:
        yield {"backend": "numba", **SAMPLED}
        yield {"backend": "torch", **SAMPLED}
    elif row < size:
        yield {"backend": "torch", "tile_size": row}


def agree(method: str, setting: Setting, base: Tensor, experts: list[Tensor], dtype: Dtype) -> None:
    origin = base if setting.base else None
    expected = merged(method, origin, experts, dtype, depth=0.5, **setting.given)
    assert expected.dtype == TORCH[dtype]
    for way in ways(base.shape):
        found = merged(method, origin, experts, dtype, depth=0.5, **way, **setting.given)
        assert bits(found) == bits(expected), f"{method} {setting} {tuple(base.shape)} {way}"


def test_every_method_has_settings_to_be_tested_with() -> None:
    assert set(SETTINGS) == set(METHODS)


@pytest.mark.parametrize("method", SETTINGS)
def test_all_roads_lead_to_the_same_bytes(method: str) -> None:
    for s, setting in enumerate(SETTINGS[method]):
        for i, shape in enumerate(SHAPES):
            base, experts = models(i, shape, setting.experts, MIXTURES[(i + s) % len(MIXTURES)])
            agree(method, setting, base, experts, (B, H, F)[(i // 2 + s) % 3])


def few(values: list[float]) -> Tensor:
    """Numbers of which there are only a few different ones, in an order without a pattern."""
    place = (numbers(77, (3, 341)) * 1e4).long() % len(values)
    return torch.tensor(values, dtype=torch.float32)[place]


def contents() -> dict[str, tuple[Tensor, list[Tensor]]]:
    """Inputs at the edges: ties, nothing changed, both zeros, the smallest and large numbers."""
    base = few([0.5, -0.25, 1.0])
    steps = [few([d, -d, 0.0, 2 * d]).roll(k, 1) for k, d in enumerate([0.25, 0.25, 0.5, 0.125, 0.25])]
    tiny = few([0.0, 2.0**-149, -(2.0**-149), 2.0**-133, -(2.0**-24), 3 * 2.0**-25])
    other = numbers(5, base.shape)
    return {
        "few different magnitudes": (base, [base + s for s in steps]),
        "all experts equal": (base, [other] * 5),
        "experts equal to the base": (base, [base] * 5),
        "all zero": (torch.zeros_like(base), [torch.zeros_like(base)] * 5),
        "both zeros": (few([0.0, -0.0, 1.0]), [few([-0.0, 0.0, -0.0, 1.0]).roll(k, 1) for k in range(5)]),
        "the smallest numbers": (tiny, [tiny.roll(k, 1) for k in (1, 2, 3, 5, 8)]),
        "large numbers": (base * 2e3, [(base + s) * 1.8e3 for s in steps]),
        "base of zeros": (torch.zeros_like(base), [numbers(k, base.shape, 0.01) for k in range(5)]),
    }


CONTENTS = contents()


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize("content", CONTENTS)
def test_all_roads_lead_to_the_same_bytes_at_the_edges(method: str, content: str) -> None:
    base, experts = CONTENTS[content]
    for s, setting in enumerate(SETTINGS[method]):
        kinds = [TORCH[k] for k in (MIXTURES[s % len(MIXTURES)] * 6)[: setting.experts + 1]]
        typed = [t.to(k) for t, k in zip([base, *experts], kinds, strict=False)]
        agree(method, setting, typed[0], typed[1:], (F, B, H)[s % 3])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("method", SETTINGS)
def test_an_empty_tensor_stays_empty(method: str, backend: str) -> None:
    for setting in SETTINGS[method]:
        for shape in [(0,), (3, 0), (0, 5)]:
            base, experts = models(1, shape, setting.experts)
            found = merged(method, base if setting.base else None, experts, F, backend=backend, **setting.given)
            assert found.shape == shape


# -- rounding --------------------------------------------------------------------------------------------------------


def halfway_cases() -> Tensor:
    """Every float16 and bfloat16 number, the numbers halfway between two, and their neighbours; finite."""
    all_bits = torch.arange(1 << 16, dtype=torch.int32).to(torch.int16)
    numbers = torch.cat([all_bits.view(torch.float16).float(), all_bits.view(torch.bfloat16).float()])
    numbers = numbers[numbers.isfinite()].double().sort().values
    middle = ((numbers[1:] + numbers[:-1]) / 2).float()
    below, above = (torch.nextafter(middle, torch.tensor(s * 3e38)) for s in (-1.0, 1.0))
    return torch.cat([numbers.float(), middle, below, above])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [B, H])
def test_the_output_is_rounded_to_nearest_even(backend: str, dtype: Dtype) -> None:
    values = halfway_cases()
    values = values[values.to(TORCH[dtype]).isfinite()]
    found = merged("passthrough", None, [values], dtype, backend=backend)
    assert torch.equal(found, values.to(TORCH[dtype]))
    assert torch.equal(found.signbit(), values.signbit())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [B, H, F])
def test_widening_loses_nothing(backend: str, dtype: Dtype) -> None:
    raw = torch.arange(1 << 16, dtype=torch.int32)
    values = (raw << 16).view(torch.float32) if dtype is F else raw.to(torch.int16).view(TORCH[dtype])
    values = values[values.isfinite()]
    found = merged("passthrough", None, [values], F, backend=backend)
    assert bits(found) == bits(values.float())


@pytest.mark.parametrize("backend", BACKENDS)
def test_products_and_sums_are_never_fused(backend: str) -> None:
    x = torch.tensor([1 + 2.0**-12], dtype=torch.float32)
    found = merged("linear", None, [x, x], F, backend=backend, weight=[1 + 2.0**-12, -1.0], normalize=False)
    product = torch.tensor(1 + 2.0**-11)  # (1 + 2^-12)^2 rounded: a fused multiply-add would keep 2^-24
    assert found.item() == (product - x).item()


# -- parts of a form -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_magnitudes_are_kept_from_the_lowest_index_on(backend: str) -> None:
    expert = torch.ones(3000)
    expert[1::2] = -1.0
    expert[2500] = 2.0
    base = torch.zeros(3000)
    roads: list[dict[str, Any]] = [{"tile_size": WHOLE}, {"tile_size": 1024, "sample_size": 64}]
    for sizes in roads:
        kept = merged("ties", base, [expert], weight=1.0, density=0.5, backend=backend, **sizes)
        expected = torch.where(torch.arange(3000) < 1499, expert, base)
        expected[2500] = 2.0
        assert torch.equal(kept, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_windows_count_ties_across_tiles(backend: str) -> None:
    one = 0xBF800000  # ordered bits of 1.0
    windows = (Window((one, 1000), (one, 2500)), None)
    field = field_of(torch.zeros(3000), [torch.ones(3000)] * 2, backend=backend, tile_size=1024)
    scales = field.l1_scales(windows)
    assert scales == (2.0, 1.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tile_size", [64, 1024, WHOLE])
def test_masks_are_the_numbers_below_the_threshold_wherever_tiles_begin(backend: str, tile_size: int) -> None:
    field = field_of(torch.zeros(41, 37), [torch.ones(41, 37)] * 2, backend=backend, tile_size=tile_size)
    mask, _ = field.draw([(0.3, 0.3), (0.9, 0.9)])
    for k, odds in enumerate((0.3, 0.9)):
        drawn = torch.from_numpy(philox_range(field.keys[k], 0, 41 * 37).astype("int64"))
        kept = torch.from_numpy(mask.bits[k])[:, None] >> torch.arange(8) & 1
        assert torch.equal(kept.reshape(-1)[: 41 * 37].bool(), drawn < round(odds * 2**16))
