"""``python -m node.worker PARENT`` does one job for the process with that number."""

import sys

from node.worker.child import main

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
