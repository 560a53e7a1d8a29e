"""The exact delta codec: an expert as what differs from the base, and back, bit for bit (docs/protocol/deltas.md).

``encode`` packs, ``decode`` unpacks, ``measure`` looks without writing. All three go through the models in blocks, on
some threads, so memory does not grow with the models.
"""

from umm.delta.decoding import decode
from umm.delta.encoding import DeltaReport, encode
from umm.delta.measuring import Measured, measure
from umm.delta.norm import decimal

__all__ = ["DeltaReport", "Measured", "decimal", "decode", "encode", "measure"]
