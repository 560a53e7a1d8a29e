"""``python -m tests.node.control.generate``: write anew the code generated from ``control.proto``."""

from pathlib import Path

from google.protobuf import descriptor_pb2

from tests.protocol.roads.generate import compile_proto, described

PROTO = Path("node/control/control.proto")


def main() -> None:
    """Write ``control_pb2.py`` and its types beside the ``.proto``."""
    compile_proto(PROTO, "--python_out=.", "--pyi_out=.")


def descriptor() -> descriptor_pb2.FileDescriptorProto:
    """The compiled description of the ``.proto`` as it is now, as generated code holds it."""
    return described(PROTO)


if __name__ == "__main__":
    main()
