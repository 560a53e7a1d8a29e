"""``python -m tests.fuzz TARGET SECONDS``: coverage-guided fuzzing of one parser, from the corpus kept beside it.

Needs ``pip install atheris``. What it finds new goes to ``tests/fuzz/corpus/TARGET``, which tests go through.
"""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Fuzz until the time is over or something other than the room's own errors comes out."""
    import atheris

    target, seconds = sys.argv[1], int(sys.argv[2])
    with atheris.instrument_imports(include=["protocol", "umm.delta"]):
        one = importlib.import_module(f"tests.fuzz.fuzz_{target}").one
    corpus = HERE / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
