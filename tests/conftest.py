"""What all tests share.

One thread per torch operation: for small tensors more threads only wait for one another. And Ctrl-C as in a terminal:
programs that are started in the background inherit that it is ignored.
"""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")
signal.signal(signal.SIGINT, signal.default_int_handler)
