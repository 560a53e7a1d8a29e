"""What the program is built on: Python, the cryptography, and the loops that merge."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from node.doctor.finding import Finding, fail, ok, warn

PYTHON = (3, 11)

OPENSSL = (3, 2)
"""The first that makes deterministic signatures of ECDSA."""


def python(found: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """Whether this Python is new enough."""
    text = f"{'.'.join(map(str, found))} on {platform.system()} {platform.machine()}"
    if found < PYTHON:
        return fail("python", text, f"use Python {'.'.join(map(str, PYTHON))} or newer")
    return ok("python", text)


def cryptography() -> Finding:
    """Whether signatures come out the same each time: tried with a key."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.backends.openssl.backend import backend

    from protocol.identity import Key

    text = f"cryptography {_version('cryptography')} with {backend.openssl_version_text()}"
    wanted = ".".join(map(str, OPENSSL))
    fix = f"signing needs OpenSSL {wanted} or newer: pip install --upgrade cryptography (its wheels bring their own)"
    key = Key.generate()
    try:
        same = key.sign_raw(b"doctor") == key.sign_raw(b"doctor")
    except UnsupportedAlgorithm:
        return fail("signatures", f"{text} cannot sign as this program does", fix)
    return ok("signatures", text) if same else fail("signatures", f"{text} signs at random", fix)


def loops() -> Finding:
    """With what merges are computed."""
    names = ("torch", "numba", "numpy")
    found = ", ".join(f"{name} {_version(name) or 'missing'}" for name in names)
    if not _version("torch"):
        return fail("merging", found, "pip install torch")
    from umm.errors import UmmError
    from umm.merge import choose_backend

    try:
        backend = choose_backend("auto").name
    except UmmError as error:
        return fail("merging", f"{found}: {error}", "install this program again")
    if backend != "numba":
        return warn("merging", f"{found}; backend {backend}", "pip install numba: the same bits, many times as fast")
    return ok("merging", f"{found}; backend {backend}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
