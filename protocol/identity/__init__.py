"""One key for everything a node does: it signs records and checkpoints, names the node in the swarm, and vouches for
the key that the node uses in TLS.

`public` what others know of a key · `key` what its owner holds · `names` words for people · `keyfile` on disk and in a
backup · `libp2p` as p2pd wants it. `docs/protocol/identity.md` is the specification.
"""

from protocol.identity.key import Key
from protocol.identity.public import PublicKey

__all__ = ["Key", "PublicKey"]
