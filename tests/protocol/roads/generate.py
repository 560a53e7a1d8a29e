"""``python -m tests.protocol.roads.generate``: write anew the code generated from ``exchange.proto``."""

import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).parents[3]
PROTO = Path("protocol/roads/grpc/exchange.proto")


def main() -> None:
    """Write ``exchange_pb2.py`` and its types beside the ``.proto``."""
    compile_proto(PROTO, "--python_out=.", "--pyi_out=.")


def descriptor() -> descriptor_pb2.FileDescriptorProto:
    """The compiled description of the ``.proto`` as it is now, as generated code holds it."""
    return described(PROTO)


def described(proto: Path) -> descriptor_pb2.FileDescriptorProto:
    """The description of any ``.proto`` of this repository."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "set")
        compile_proto(proto, f"--descriptor_set_out={out}")
        (found,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    for message in found.message_type:
        for field in message.field:
            field.ClearField("json_name")  # written for other languages only
    return found


def compile_proto(proto: Path, *outputs: str) -> None:
    """Run the compiler in the repository's root, so that names in the code are as Python imports them."""
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I.", *outputs, str(proto)], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
