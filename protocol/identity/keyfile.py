"""The file that holds a node's key, and the backup of it.

The file is PKCS#8 in PEM without encryption, so that a node starts by itself; what protects it is that only its owner
may read it. The rules are OpenSSH's: mode 0600 or narrower, owned by who runs the node, a regular file, no link. The
backup is the same key encrypted with a passphrase, for a password manager or a sheet of paper.
"""

import errno
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from protocol.errors import EnvironmentFault, UsageError
from protocol.identity.key import Key
from protocol.identity.pbes2 import sealed_pem

MODE = 0o600

MAX_KEY_FILE_BYTES = 4096
"""Ours have about 240, backups about 480."""

MAX_PASSPHRASE_BYTES = 1023
"""OpenSSL's limit."""

BACKUP_REMINDER = """\
This key is the node: its name, its contributions, its votes. Nobody can reset it or make it again.
Export it with a passphrase now, and keep the backup and the passphrase apart, away from this machine.
If the key is lost, the node starts again under a new name; what the old key signed stays signed.
If somebody else gets it, they can sign as this node: tell the others, and create a new key."""
"""To be shown when a key was created."""

_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_NO_LINKS = os.O_NOFOLLOW | os.O_CLOEXEC
_LINK = errno.ELOOP
"""What opening a link answers under ``O_NOFOLLOW``."""


def create(path: Path) -> Key:
    """A new key in a new file; an existing file is never replaced."""
    key = Key.generate()
    save(path, key)
    return key


def save(path: Path, key: Key) -> None:
    """Write a key to a new file; after a crash at any moment there is the whole file or none under this name."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write(unfinished, key.pkcs8_pem())
            os.link(unfinished, path)  # unlike a rename it fails where a file already is
        finally:
            unfinished.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise UsageError(
            f"{path} already exists; a key is never overwritten. Move it away or name another file"
        ) from None
    except OSError as error:
        raise EnvironmentFault(f"the key file {path} cannot be written: {error.strerror}") from error


def load(path: Path) -> Key:
    """The key in a file that nobody else can read or could have put there."""
    data = _read_own(path)
    if _ENCRYPTED in data:
        raise UsageError(f"{path} is an encrypted backup, not a key file; import it with its passphrase")
    return _parse(data, None, str(path))


def export_key(key: Key, passphrase: str) -> bytes:
    """The key encrypted with a passphrase: PKCS#8 in PEM, which OpenSSL reads as well."""
    secret = _secret(passphrase)
    return sealed_pem(key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), secret)


def import_key(data: bytes, passphrase: str) -> Key:
    """The key in what ``export_key`` made."""
    secret = _secret(passphrase)
    if len(data) > MAX_KEY_FILE_BYTES:
        raise UsageError(f"the backup has {len(data)} bytes; that of a node's key has at most {MAX_KEY_FILE_BYTES}")
    if _ENCRYPTED not in data:
        raise UsageError("this is not the backup of a key: there is no ENCRYPTED PRIVATE KEY in it")
    return _parse(data, secret, "the backup")


def _secret(passphrase: str) -> bytes:
    secret = passphrase.encode("utf-8")
    if not 0 < len(secret) <= MAX_PASSPHRASE_BYTES:
        raise UsageError(f"a passphrase has 1 to {MAX_PASSPHRASE_BYTES} bytes, this one {len(secret)}")
    return secret


def _parse(data: bytes, secret: bytes | None, where: str) -> Key:
    try:
        private = load_pem_private_key(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        cause = (
            "holds no private key; restore it from a backup" if secret is None else "does not open: wrong passphrase?"
        )
        raise UsageError(f"{where} {cause}") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{where} holds a key of another kind; a node's key is ECDSA on P-256")
    return Key(private)


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINKS, MODE)
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, MODE)  # whatever the umask took away
        file.write(data)
        file.flush()
        os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_own(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS)  # a pipe in its place must not hold us up
        with os.fdopen(handle, "rb") as file:
            _check_own(path, os.fstat(handle))
            data = file.read(MAX_KEY_FILE_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no key file {path}; create a key or import a backup") from None
    except OSError as error:
        cause = "it is a link; name the file itself" if error.errno == _LINK else error.strerror
        raise EnvironmentFault(f"the key file {path} cannot be read: {cause}") from error
    if len(data) > MAX_KEY_FILE_BYTES:
        raise UsageError(f"{path} is no key file: it has more than {MAX_KEY_FILE_BYTES} bytes")
    return data


def _check_own(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise EnvironmentFault(f"the key file {path} is not a regular file")
    if found.st_uid != os.geteuid():
        raise EnvironmentFault(
            f"the key file {path} belongs to user {found.st_uid}, but the node runs as {os.geteuid()}"
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~MODE:
        raise EnvironmentFault(f"others may use the key file {path} (mode {mode:04o}). Run: chmod 600 {path}")
