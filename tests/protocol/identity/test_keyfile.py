"""Key files that only their owner can read, and backups that only a passphrase opens."""

import base64
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from protocol.errors import EnvironmentFault, ProtocolError, UsageError
from protocol.identity import keyfile
from protocol.identity.keyfile import BACKUP_REMINDER, MAX_KEY_FILE_BYTES, MAX_PASSPHRASE_BYTES
from tests.protocol.keys import key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.key"


@pytest.fixture
def saved(path: Path) -> Path:
    keyfile.save(path, key(1))
    return path


@pytest.mark.must("ID-11")
def test_a_created_key_is_there_again_when_loaded(path: Path) -> None:
    created = keyfile.create(path)
    assert keyfile.load(path).public == created.public
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.must("ID-11")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_key_file_is_for_its_owner_only_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keyfile.create(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keyfile.load(path)


@pytest.mark.must("ID-11")
def test_a_key_file_is_pkcs8_that_other_programs_read(saved: Path) -> None:
    assert saved.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    found = load_pem_private_key(saved.read_bytes(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    assert found.private_numbers().private_value == 1


@pytest.mark.must("ID-11")
def test_an_existing_file_is_never_replaced(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        keyfile.create(saved)
    assert saved.read_bytes() == before
    assert [entry.name for entry in saved.parent.iterdir()] == [saved.name]


@pytest.mark.must("ID-11")
def test_a_key_is_not_written_through_a_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.symlink_to(target)
    with pytest.raises(UsageError, match="already exists"):
        keyfile.create(path)
    assert not target.exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"nowhere/node\.key cannot be written: No such file"):
        keyfile.create(tmp_path / "nowhere" / "node.key")


DIE_AT_STEP = """
import os, sys
from pathlib import Path
from protocol.identity import Key, keyfile

key, step = Key.generate(), int(sys.argv[2])

def die(event, arguments):
    global step
    if event in ("open", "os.link", "os.remove") and not isinstance(arguments[0], int):
        step -= 1
        if step < 0:
            os._exit(9)

sys.addaudithook(die)
keyfile.save(Path(sys.argv[1]), key)
"""


@pytest.mark.must("ID-11")
def test_a_process_that_dies_while_writing_leaves_a_whole_key_or_none(tmp_path: Path) -> None:
    codes, loadable = [], []
    for step in range(5):
        path = tmp_path / f"key-{step}"
        codes.append(subprocess.run([sys.executable, "-c", DIE_AT_STEP, str(path), str(step)], check=False).returncode)
        loadable.append(path.exists() and keyfile.load(path) is not None)
    assert codes == [9, 9, 9, 9, 0]  # before: opening, linking, removing, opening the folder
    assert loadable == [False, False, True, True, True]


@pytest.mark.must("ID-12")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o700, 0o4600])
def test_a_file_that_others_may_use_is_refused(saved: Path, mode: int) -> None:
    saved.chmod(mode)
    with pytest.raises(EnvironmentFault, match=rf"\(mode {mode:04o}\). Run: chmod 600 {saved}"):
        keyfile.load(saved)


def test_a_file_that_its_owner_may_only_read_is_fine(saved: Path) -> None:
    saved.chmod(0o400)
    assert keyfile.load(saved).public == key(1).public


@pytest.mark.must("ID-12")
def test_a_file_of_somebody_else_is_refused(saved: Path) -> None:
    if os.geteuid() == 0:
        os.chown(saved, 12345, -1)
    else:
        saved = Path("/etc/hosts")
    with pytest.raises(EnvironmentFault, match=f"belongs to user {saved.stat().st_uid}, but the node runs as"):
        keyfile.load(saved)


@pytest.mark.must("ID-12")
def test_a_link_is_refused(saved: Path) -> None:
    link = saved.with_name("link")
    link.symlink_to(saved)
    with pytest.raises(EnvironmentFault, match="it is a link"):
        keyfile.load(link)


@pytest.mark.must("ID-12")
def test_what_is_no_regular_file_is_refused_without_waiting(path: Path) -> None:
    os.mkfifo(path, 0o600)
    with pytest.raises(EnvironmentFault, match="not a regular file"):
        keyfile.load(path)
    with pytest.raises(EnvironmentFault, match="not a regular file"):
        keyfile.load(Path("/dev/null"))
    with pytest.raises(EnvironmentFault, match=r"Is a directory|not a regular file"):
        keyfile.load(path.parent)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(UsageError, match="there is no key file"):
        keyfile.load(path)


def foreign(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


CONTENTS = {
    "empty": (b"", "holds no private key"),
    "no key": (b"hello\n", "holds no private key"),
    "binary": (b"\xff\x00" * 100, "holds no private key"),
    "cut short": (key(1).pkcs8_pem()[:100], "holds no private key"),
    "damaged": (key(1).pkcs8_pem().replace(b"M", b"N"), "holds no private key"),
    "too large": (b"\n" * (MAX_KEY_FILE_BYTES + 1), "more than 4096 bytes"),
    "another curve": (foreign(ec.derive_private_key(1, ec.SECP384R1())), "not secp384r1"),
    "another kind": (foreign(ed25519.Ed25519PrivateKey.generate()), "another kind"),
    "a backup": (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "import it with its passphrase"),
}


@pytest.mark.must("ID-1", "ID-12")
@pytest.mark.parametrize(("content", "reason"), CONTENTS.values(), ids=CONTENTS.keys())
def test_a_file_without_a_nodes_key_is_refused(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=reason):
        keyfile.load(path)


@pytest.fixture(scope="module")
def backup() -> bytes:
    return keyfile.export_key(key(1), "correct horse é")


@pytest.mark.must("ID-13")
def test_a_backup_opens_with_its_passphrase_only(backup: bytes) -> None:
    assert b"ENCRYPTED" in backup
    assert keyfile.import_key(backup, "correct horse é").public == key(1).public
    with pytest.raises(UsageError, match="wrong passphrase"):
        keyfile.import_key(backup, "correct horse e")


@pytest.mark.must("ID-13")
def test_a_backup_makes_every_guess_of_its_passphrase_expensive(backup: bytes) -> None:
    der = base64.b64decode(b"".join(backup.splitlines()[1:-1]))
    scrypt, costs = bytes.fromhex("06092b06010401da47040b"), bytes.fromhex("02024000020108020108")
    assert scrypt in der
    assert costs in der  # N, r, p


@pytest.mark.must("ID-13")
def test_a_backup_is_opened_by_what_reads_pkcs8(backup: bytes) -> None:
    opened = load_pem_private_key(backup, "correct horse é".encode())
    assert opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) == key(1).pkcs8_pem()


def test_a_backup_that_openssl_encrypted_is_accepted() -> None:
    made = key(1).private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"words"))
    assert keyfile.import_key(made, "words").public == key(1).public


@pytest.mark.must("ID-13")
@pytest.mark.parametrize("passphrase", ["", "x" * (MAX_PASSPHRASE_BYTES + 1), "é" * 512])
def test_an_empty_or_endless_passphrase_is_refused(passphrase: str) -> None:
    with pytest.raises(UsageError, match="1 to 1023 bytes"):
        keyfile.export_key(key(1), passphrase)
    with pytest.raises(UsageError, match="1 to 1023 bytes"):
        keyfile.import_key(b"", passphrase)


NO_BACKUPS = {
    "empty": b"",
    "a plain key": key(1).pkcs8_pem(),
    "damaged": b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    "too large": b"-----BEGIN ENCRYPTED PRIVATE KEY-----" + b"\n" * MAX_KEY_FILE_BYTES,
}


@pytest.mark.parametrize("data", NO_BACKUPS.values(), ids=NO_BACKUPS.keys())
def test_what_is_no_backup_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="backup"):
        keyfile.import_key(data, "words")


def test_no_message_shows_what_is_in_the_file(path: Path) -> None:
    path.write_bytes(b"s3cret" * 10)
    path.chmod(0o600)
    with pytest.raises(ProtocolError) as refusal:
        keyfile.load(path)
    assert "s3cret" not in str(refusal.value)


def test_the_reminder_says_what_is_lost_and_what_to_do() -> None:
    assert "passphrase" in BACKUP_REMINDER
    assert "lost" in BACKUP_REMINDER
