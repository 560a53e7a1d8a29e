"""The golden values of keys."""

import json
from pathlib import Path
from typing import Any

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "identity.json").read_text())
KEYS: list[dict[str, Any]] = GOLDEN["keys"]
