"""``python -m tests.fuzz TARGET SECONDS``: coverage-guided fuzzing of one parser, from the corpus kept beside it.

Needs ``pip install atheris``. What it finds new goes to ``tests/fuzz/corpus/TARGET``, which tests go through.
"""

import importlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.seeds import seeds

HERE = Path(__file__).parent


def main() -> None:
    """Fuzz until the time is over or something other than the room's own errors comes out."""
    import atheris

    target, seconds = sys.argv[1], int(sys.argv[2])
    with atheris.instrument_imports(include=["protocol", "umm.delta"]):
        one = importlib.import_module(f"tests.fuzz.fuzz_{target}").one
    corpus = HERE / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as begin:
        for number, seed in enumerate(seeds(target)):
            Path(begin, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", "-max_len=4096"]
        atheris.Setup([sys.argv[0], *options, str(corpus), begin], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
