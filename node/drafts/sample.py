"""A round file to begin with: ``umm round create --sample > round.toml``."""

from node.drafts.draft import DEFAULT_BYTES_EACH, DEFAULT_BYTES_TOTAL, DEFAULT_CONTRIBUTIONS, DEFAULT_PER_KEY
from node.drafts.moments import PHASES

SAMPLE = f"""\
# A round. What begins with # is the default; only title and base have none.
# Look at it first: umm round create round.toml --dry-run

title = "A merge of many experts"
# description = "What it is for, and whom to ask."

# The model that all of them started from: its folder, beside this file.
base = "base"
# Or by what it is and where it can be fetched:
# base = {{ root = "64 digits", manifest = "64 digits", locations = ["hf://owner/name@revision"] }}

# How it is merged: a file beside this one, or the recipe itself between three quotes.
# recipe = "recipe.yaml"

# What may be contributed.
# kinds = ["adapter", "checkpoint", "delta"]

# Who decides what goes in: keys as `umm key show` prints them, and "me" for this node.
# stewards = ["me"]

# The seed of methods that draw random numbers; drawn when the round is signed.
# seed = "64 digits"

# For a method that is not exact: by how much two merges may differ.
# tolerance = 0.001

# How long each phase takes (30s, 10m, 2h, 1d, 1w), or when it ends (2026-12-01T12:00:00+01:00).
[schedule]
# opens = "now"
{"".join(f'# {phase} = "{usual}"{chr(10)}' for phase, usual in PHASES.items())}
[admission]
# Who may contribute; without this line everybody.
# keys = ["me"]
# contributions_per_key = {DEFAULT_PER_KEY}
# contributions = {DEFAULT_CONTRIBUTIONS}
# bytes_each = "{DEFAULT_BYTES_EACH // 10**9}GB"
# bytes_total = "{DEFAULT_BYTES_TOTAL // 10**9}GB"
# The largest Euclidean norm of a whole delta; without this line any.
# max_norm = 12.5
# licences = ["apache-2.0", "mit"]
# domains = ["code", "math"]
"""
