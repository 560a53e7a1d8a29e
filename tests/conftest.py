"""What all tests share: one thread per torch operation, for small tensors more threads only wait for one another."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
