"""Golden digests of every exact method's output: ``python -m tests.vectors.generate`` writes ``methods.json`` anew.

The inputs are made from our own random words (``tests.umm.memory.numbers``), so no library's generator is involved.
A digest is BLAKE3 over the output's bytes; its name is method, setting and type, the inputs being of the type of the
output. A change of any digest changes the format: what somebody merged before can no longer be re-derived.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from blake3 import blake3

from tests.umm.memory import TORCH, Tensor, bits, merged, models
from tests.umm.settings import SETTINGS, Setting
from umm.checkpoint.dtype import Dtype
from umm.methods import METHODS

FILE = Path(__file__).with_name("methods.json")
SHAPE = (33, 1025)  # more elements than torch gives to one thread, and rows that end just behind a block
EXPERTS = 5
DEPTH = 0.5


def cases() -> Iterator[tuple[str, Setting, Dtype]]:
    """Every setting of every exact method, in bfloat16 and float32."""
    for method, settings in SETTINGS.items():
        if METHODS[method].exact:
            for setting in settings:
                yield method, setting, Dtype.BF16
                yield method, setting, Dtype.F32


def last_cases() -> Iterator[tuple[str, Setting, Dtype]]:
    """One setting of every exact method, in float32."""
    for method, settings in SETTINGS.items():
        if METHODS[method].exact:
            yield method, settings[-1], Dtype.F32


def case_name(method: str, setting: Setting, dtype: Dtype) -> str:
    """What a digest is filed under."""
    return f"{method} {setting} {dtype.recipe}"


@cache
def inputs(dtype: Dtype) -> tuple[Tensor, list[Tensor]]:
    """The base and the experts."""
    base, experts = models(2026, SHAPE, EXPERTS)
    return base.to(TORCH[dtype]), [e.to(TORCH[dtype]) for e in experts]


def digest(method: str, setting: Setting, dtype: Dtype, **options: object) -> str:
    """The digest of one output."""
    base, experts = inputs(dtype)
    chosen = experts[: setting.experts]
    made = merged(method, base if setting.base else None, chosen, dtype, depth=DEPTH, **options, **setting.given)
    return blake3(bits(made)).hexdigest()


def main() -> None:
    """Write the file."""
    golden = {case_name(*case): digest(*case) for case in cases()}
    FILE.write_text(json.dumps({"shape": SHAPE, "digests": golden}, indent=1) + "\n")


if __name__ == "__main__":
    main()
