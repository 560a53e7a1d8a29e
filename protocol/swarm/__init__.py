"""The swarm: how nodes that know one address find everything that was published in a round.

`interface` what the rest of the program sees · `memory` the same without a network · `config` and `node` the real one,
over hivemind's `P2P` and `DHTProtocol` · `locations` where a pointer lies · `validator` what is let in · `storage`,
`guard` how much · `kademlia` the hardened protocol, `table` who is near, `dictionary` what they send, `offers` what we
do · `walk`, `lookup` reading and writing through many nodes · `schedule` when to publish again · `company` finding
nodes, and again · `daemon` p2pd and its sockets · `relay` one that relays. `docs/protocol/swarm.md` is the
specification.

Nothing on the way to `interface`, `config` and `memory` imports hivemind.
"""
