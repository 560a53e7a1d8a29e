"""The OpenSSF bundle in a model folder: whose signature it is, and whether the files are those that were signed."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from node.plainfile import read_inside
from node.verify.report import Finding, Gravity, What
from protocol.errors import PeerError
from protocol.identity import PublicKey
from protocol.modelsigning import BUNDLE_FILE, Bundle, key_hint, verify_folder
from protocol.modelsigning.bundle import MAX_BUNDLE_BYTES


def check_signature(
    folder: Path, stewards: Iterable[PublicKey], key: PublicKey | None
) -> tuple[PublicKey | None, tuple[Finding, ...]]:
    """Who signed the folder, as far as it matters, and what is wrong with the signature.

    With ``key`` the signature must be there and by that key. Without, a signature by a steward is checked, and one by
    anybody else proves nothing and is said to.
    """
    try:
        data = read_inside(folder, BUNDLE_FILE, MAX_BUNDLE_BYTES)
        if data is None:
            return None, tuple(_absent(key))
        bundle = Bundle.parse(data)
        signer = key or next((one for one in stewards if key_hint(one) == bundle.hint), None)
        verify_folder(folder, data, signer)
    except PeerError as error:
        advice = "do not use this folder until it is known who signed what; pull the model again"
        return None, (Finding(What.SIGNATURE_WRONG, Gravity.FAULT, f"{BUNDLE_FILE}: {error}", advice, BUNDLE_FILE),)
    if signer is None:
        text = f"{BUNDLE_FILE} lists these files, but it is by a key that is no steward's (hint {bundle.hint[:16]}…)"
        advice = "it proves nothing unless you know the key: name it with --key"
        return None, (Finding(What.SIGNATURE_UNKNOWN, Gravity.WARNING, text, advice, BUNDLE_FILE),)
    return signer, ()


def _absent(key: PublicKey | None) -> Iterator[Finding]:
    if key is not None:
        text = f"the folder holds no {BUNDLE_FILE}, so {key.name} has not signed it"
        yield Finding(
            What.SIGNATURE_WRONG, Gravity.FAULT, text, "pull the model again, or leave out --key", BUNDLE_FILE
        )
