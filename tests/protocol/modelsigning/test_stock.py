"""Both directions with the stock tool: it accepts what we sign, and we accept what it signs.

The tool is looked for in ``MODEL_SIGNING``, then as ``model_signing`` on the path. Where there is none, these tests are
slow ones, which install it into a virtual environment of its own: it brings thirty packages and narrow limits on the
version of ``cryptography``, so it is no dependency of ours, not even for development.
"""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

from protocol import claims
from protocol.envelope import Envelope
from protocol.errors import ForgedError
from protocol.modelsigning import CLAIMS_FILE, public_pem, sign_folder, verify_folder, write_bundle
from tests.protocol.modelsigning.folders import KEY, MODEL, OTHER, write

FOUND = os.environ.get("MODEL_SIGNING") or shutil.which("model_signing")
PACKAGES = ["model-signing==1.1.1", "pyOpenSSL>=26"]  # sigstore imports pyOpenSSL and does not say so
SECONDS = 300

pytestmark = [] if FOUND else [pytest.mark.slow, pytest.mark.timeout(2 * SECONDS)]


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stock command."""
    if FOUND:
        return Path(FOUND)
    place = tmp_path_factory.mktemp("stock")
    venv.create(place, with_pip=True)
    subprocess.run([place / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True, timeout=SECONDS)
    return place / "bin" / "model_signing"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of ours with a signature and a claim in it, and the keys beside it."""
    folder = write(tmp_path / "model")
    write_bundle(folder, sign_folder(folder, KEY))
    claims.append(folder / CLAIMS_FILE, Envelope.sign("text/plain", b"a claim", OTHER))
    (tmp_path / "public.pem").write_bytes(public_pem(KEY.public))
    (tmp_path / "other.pem").write_bytes(public_pem(OTHER.public))
    (tmp_path / "private.pem").write_bytes(KEY.pkcs8_pem())
    return folder


def says(tool: Path, action: str, folder: Path, *options: str | Path) -> tuple[int, str]:
    """Exit code and output of ``model_signing ACTION key FOLDER``."""
    command = [tool, action, "key", folder, "--signature", folder / "model.sig", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    return done.returncode, done.stdout + done.stderr


def stock_verifies(tool: Path, folder: Path, key: str = "public.pem") -> tuple[int, str]:
    return says(tool, "verify", folder, "--public_key", folder.parent / key)


@pytest.mark.must("OMS-1", "OMS-3", "OMS-5", "OMS-8", "OMS-15")
def test_the_stock_tool_accepts_a_folder_signed_by_us(tool: Path, model: Path) -> None:
    assert stock_verifies(tool, model) == (0, "Verification succeeded\n")


@pytest.mark.must("OMS-16")
def test_the_stock_tool_refuses_our_folder_after_one_flipped_bit(tool: Path, model: Path) -> None:
    data = bytearray((model / "model.safetensors").read_bytes())
    data[1000] ^= 0x80
    (model / "model.safetensors").write_bytes(data)
    code, output = stock_verifies(tool, model)
    assert (code, "Hash mismatch" in output) == (1, True), output


@pytest.mark.must("OMS-16")
def test_the_stock_tool_refuses_our_folder_after_one_added_file(tool: Path, model: Path) -> None:
    (model / "tokenizer" / "extra.json").touch()
    code, output = stock_verifies(tool, model)
    assert (code, "Extra files" in output) == (1, True), output


@pytest.mark.must("OMS-16")
def test_the_stock_tool_refuses_our_folder_after_one_removed_file(tool: Path, model: Path) -> None:
    (model / "nothing.txt").unlink()
    code, output = stock_verifies(tool, model)
    assert (code, "Missing files" in output) == (1, True), output


@pytest.mark.must("OMS-3")
def test_the_stock_tool_refuses_our_folder_with_another_key(tool: Path, model: Path) -> None:
    code, output = stock_verifies(tool, model, key="other.pem")
    assert (code, "Key mismatch" in output) == (1, True), output


@pytest.mark.must("OMS-10", "OMS-18")
def test_we_accept_a_folder_signed_by_the_stock_tool_and_refuse_it_when_changed(tool: Path, model: Path) -> None:
    (model / CLAIMS_FILE).unlink()
    assert says(tool, "sign", model, "--private_key", model.parent / "private.pem")[0] == 0
    bundle = (model / "model.sig").read_bytes()
    assert verify_folder(model, bundle, KEY.public).files == len(MODEL)
    with pytest.raises(ForgedError, match="another key"):
        verify_folder(model, bundle, OTHER.public)
    (model / "config.json").write_bytes(b"{ }")
    with pytest.raises(ForgedError, match=r"changed 'config\.json'"):
        verify_folder(model, bundle, KEY.public)
    (model / "config.json").write_bytes(MODEL["config.json"])
    (model / CLAIMS_FILE).touch()
    with pytest.raises(ForgedError, match=r"added 'claims\.jsonl'"):
        verify_folder(model, bundle, KEY.public)


@pytest.mark.must("OMS-17")
def test_what_a_stock_signature_ignores_is_accepted_only_when_named(tool: Path, model: Path) -> None:
    ignoring: list[str | Path] = ["--ignore-paths", model / "tokenizer", "--ignore-paths", model / CLAIMS_FILE]
    assert says(tool, "sign", model, "--private_key", model.parent / "private.pem", *ignoring)[0] == 0
    bundle = (model / "model.sig").read_bytes()
    with pytest.raises(ForgedError, match=r"does not cover 'tokenizer/a\.json'"):
        verify_folder(model, bundle, KEY.public)
    report = verify_folder(model, bundle, KEY.public, unsigned=["tokenizer"])
    assert report.unsigned == (CLAIMS_FILE, "model.sig", "tokenizer")
