"""Golden fault proofs and a golden lineage. They are written by the code that reads them, from records whose bytes and
proofs have golden files of their own; keys are fixed and signatures deterministic.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from node.lineage import Lineage, encode
from node.verify.accusing import accuse_values
from node.verify.remerge import NotFiniteError
from node.verify.scanning import find_strange
from node.verify.values_fault import ValuesFault
from protocol.blobs.folder import manifest_of_folder
from protocol.offer import size_of
from tests.node.verify.accused import PROOF
from tests.node.verify.steps import a_revised_step, a_round, above, an_offer
from tests.protocol.blobs.folders import model_folder


def values_fault(folder: Path) -> ValuesFault:
    """The third of four values is infinite."""
    model = model_folder(folder, {"w": ("BF16", (4,), bytes.fromhex("803f803f807f803f"))})
    manifest = manifest_of_folder(model)
    offer = an_offer(a_round(), 21, manifest=manifest.id, root=manifest.root, size=size_of(manifest))
    strange = find_strange(model, manifest, frozenset({"w"}))
    assert strange is not None
    return accuse_values(NotFiniteError(offer, manifest, strange))


def vectors() -> dict[str, str]:
    """Proofs in hexadecimal, a lineage as it is."""
    revised = a_revised_step()
    with TemporaryDirectory() as folder:
        values = values_fault(Path(folder) / "model")
    return {
        "merge": PROOF.encode().hex(),
        "values": values.encode().hex(),
        "lineage": encode(Lineage((above(revised), revised))).decode(),
    }
