"""Writing out loops gives the same function, with one local variable for each number of a register."""

import ast
import gc
import inspect
import threading
import time
from typing import Any

import pytest

from umm.kernels.unrolled import REGISTERS, unrolled


def sums(count: int, mode: int) -> Any:
    """A function of values and steps; ``total`` and ``weight`` are one number per index below ``count``."""

    def body(values: list[int], steps: int) -> tuple[int, int, str]:
        total = weight = REGISTERS
        for k in range(count):
            weight[k], total[k] = k + mode, 0
        for j in range(steps):
            for k in range(count):
                if mode == 2:
                    total[k] += values[j] * weight[k]
                else:
                    total[k] += values[j] + k * weight[k]
        result = 0
        for k in range(0, count, 2):
            result += total[k]
        for k in range(1, count, 2):
            result -= total[k]
        return result, steps, "two" if mode == 2 else "another"

    return unrolled(body, f"sums_{count}_{mode}", count=count, mode=mode)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("mode", [1, 2])
def test_written_out_it_is_the_same_function(count: int, mode: int) -> None:
    values = [3, 1, 4, 1, 5]
    totals = [sum(v * (k + mode) if mode == 2 else v + k * (k + mode) for v in values) for k in range(count)]
    expected = sum(totals[::2]) - sum(totals[1::2]), 5, "two" if mode == 2 else "another"
    assert sums(count, mode)(values, 5) == expected


def test_nothing_is_left_of_what_was_known() -> None:
    function = sums(3, 2)
    assert function.__name__ == "sums_3_2"
    assert function.__code__.co_filename == __file__
    assert not {"count", "mode", "k", "total", "weight", "range_count"} & set(function.__code__.co_varnames)
    assert {"total_0", "total_1", "total_2"} <= set(function.__code__.co_varnames)
    assert "another" not in function.__code__.co_consts


class _Noisy:
    """Garbage in a cycle, whose end lets another thread go on."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0)


def test_loops_are_written_out_while_another_thread_compiles() -> None:
    global_compiler_lock = pytest.importorskip("numba.core.compiler_lock").global_compiler_lock
    fused = pytest.importorskip("umm.kernels.fused")
    source, over, problems = inspect.getsource(fused), threading.Event(), list[SystemError]()

    def compile_on() -> None:
        try:
            while not over.is_set():
                with global_compiler_lock:
                    _ = [_Noisy() for _ in range(20)]
                    ast.parse(source)
        except SystemError as error:
            problems.append(error)

    before = gc.get_threshold()
    gc.set_threshold(200, 1, 1)
    other = threading.Thread(target=compile_on)
    other.start()
    try:
        for _ in range(15):
            _ = [_Noisy() for _ in range(20)]
            fused.mixer.__wrapped__(3, 1, 1, 1, 1)
    finally:
        gc.set_threshold(*before)
        over.set()
        other.join()
    assert problems == []
