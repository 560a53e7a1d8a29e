"""The bytes that every exact method gives, pinned; on both backends, any instruction set, any number of threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.umm.memory import BACKENDS
from tests.umm.settings import SETTINGS
from tests.vectors.generate import FILE, case_name, cases, digest
from umm.methods import METHODS

GOLDEN: dict[str, str] = json.loads(FILE.read_text())["digests"]
EXACT = [m for m in SETTINGS if METHODS[m].exact]

IN_CHILD = """
import json, torch
from tests.umm.memory import WHOLE
from tests.vectors.generate import case_name, digest, last_cases
answer = {}
for threads in (1, 2, 4):
    torch.set_num_threads(threads)
    for case in last_cases():
        answer[f"{case_name(*case)} {threads}"] = digest(*case, backend="torch", tile_size=WHOLE)
print(json.dumps({"capability": torch.backends.cpu.get_cpu_capability(), "digests": answer}))
"""


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_output_is_golden(backend: str, method: str) -> None:
    chosen = [c for c in cases() if c[0] == method]
    found = {case_name(*c): digest(*c, backend=backend, tile_size=1 << 14) for c in chosen}
    assert found == {name: GOLDEN.get(name) for name in found}


def test_there_is_a_digest_for_every_case_and_no_other() -> None:
    assert list(GOLDEN) == [case_name(*c) for c in cases()]


@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
def test_torch_gives_the_golden_bytes_on_any_instruction_set_and_thread_count(capability: str) -> None:
    command = [sys.executable, "-c", IN_CHILD]
    environment = os.environ | {"ATEN_CPU_CAPABILITY": capability, "OMP_WAIT_POLICY": "PASSIVE"}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True, text=True, timeout=100)
    answer = json.loads(done.stdout)
    assert capability != "default" or answer["capability"] == "DEFAULT"  # the others depend on the processor
    assert {name.rsplit(" ", 1)[1] for name in answer["digests"]} == {"1", "2", "4"}
    for name, found in answer["digests"].items():
        assert found == GOLDEN[name.rsplit(" ", 1)[0]], name
