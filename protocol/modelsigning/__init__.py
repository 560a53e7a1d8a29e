"""Model folders signed in the format of the OpenSSF, so that the stock ``model_signing verify key`` accepts them.

``sign_folder`` makes the bytes of ``model.sig``, ``verify_folder`` holds a folder to them. The format is
OpenSSF Model Signing 1.0 (https://github.com/ossf/model-signing-spec) with the method ``key``; what of it we write and
accept is in ``docs/protocol/modelsigning.md``.
"""

from protocol.modelsigning.bundle import Bundle, key_hint, public_pem
from protocol.modelsigning.digests import Digests, FileDigests
from protocol.modelsigning.folder import BUNDLE_FILE, CLAIMS_FILE, UNSIGNED
from protocol.modelsigning.signing import Report, sign_folder, verify_folder, write_bundle
from protocol.modelsigning.statement import Resource, Statement

__all__ = [
    "BUNDLE_FILE",
    "CLAIMS_FILE",
    "UNSIGNED",
    "Bundle",
    "Digests",
    "FileDigests",
    "Report",
    "Resource",
    "Statement",
    "key_hint",
    "public_pem",
    "sign_folder",
    "verify_folder",
    "write_bundle",
]
