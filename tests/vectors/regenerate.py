"""``python -m tests.vectors.regenerate``: write anew the golden files that need no merging.

A change of one of them is a change of a format. Merged bytes have generators of their own, since they take longer:
``python -m tests.vectors.generate`` and ``python -m tests.umm.golden_merges``.
"""

import importlib
import json
from pathlib import Path

HERE = Path(__file__).parent
PREFIX = "make_"


def spelled(content: object) -> str:
    """A golden file's text."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def generated() -> dict[Path, str]:
    """The golden files of all generators, and what they should hold."""
    names = sorted(path.stem for path in HERE.glob(f"{PREFIX}*.py"))
    made = {name: importlib.import_module(f"tests.vectors.{name}").vectors() for name in names}
    return {HERE / f"{name.removeprefix(PREFIX)}.json": spelled(content) for name, content in made.items()}


def main() -> None:
    """Write the files that differ."""
    for path, text in generated().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
