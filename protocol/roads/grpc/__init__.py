"""The direct road: gRPC over mutual TLS, for peers that can be reached at an address.

`certificate` who is at the other end · `address` where · `line` a connection · `messages` bytes to requests and back ·
`status` errors to gRPC and back · `server`, `road` the two ends · `exchange_pb2` generated from `exchange.proto`.

In this room only this folder imports grpc. `docs/protocol/exchange.md` is the specification.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # or every port scan of the internet writes lines to stderr
