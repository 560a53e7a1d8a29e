"""A delta from its author to somebody who has the base: as a manifest and blobs, assembled and unpacked elsewhere."""

from pathlib import Path

from protocol.blobs.assemble import assemble
from protocol.blobs.folder import FolderSource
from protocol.blobs.kinds import Delta
from protocol.blobs.manifest import Manifest
from tests.umm.checkpoints import tiny
from umm.delta import decode, encode, measure
from umm.digest import checkpoint_root


def test_a_delta_travels_as_blobs_and_becomes_the_expert(tmp_path: Path) -> None:
    base = tiny(tmp_path / "base", hidden_size=64, seed=0)
    expert = tiny(tmp_path / "expert", hidden_size=64, seed=1, rms_norm_eps=1e-5)
    report = encode(base, expert, tmp_path / "delta")
    assert "config.json" in report.files
    with FolderSource(tmp_path / "delta", Delta(checkpoint_root(base))) as source:
        manifest = Manifest.parse(source.manifest.encode())
        assert len(manifest.tensors) == report.changed
        assemble(manifest, source, tmp_path / "elsewhere", shard_bytes=1 << 14)
    assert len(list((tmp_path / "elsewhere").glob("delta-*.safetensors"))) > 1
    assert measure(base, tmp_path / "elsewhere").norm == report.norm
    decode(base, tmp_path / "elsewhere", tmp_path / "back")
    assert checkpoint_root(tmp_path / "back") == checkpoint_root(expert)
