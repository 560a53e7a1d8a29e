"""Runs mergekit's command line again and again in one process, to pay for its imports once.

Started with the interpreter of mergekit's environment. Each line of input is a JSON list of arguments; each
merge that succeeds is answered with one line. A merge that fails ends the process, as it would end the
command.
"""

import importlib
import json
import sys


def main() -> None:
    """Serve until the input ends."""
    reply, sys.stdout = sys.stdout, sys.stderr
    command = importlib.import_module("mergekit.scripts.run_yaml").main
    for line in sys.stdin:
        command(json.loads(line), standalone_mode=False)
        reply.write("done\n")
        reply.flush()


if __name__ == "__main__":
    main()
