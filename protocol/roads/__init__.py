"""The roads bytes can take between two nodes, all behind :mod:`protocol.exchange.interface`.

`grpc` direct, over mutual TLS · `libp2p` through p2pd, also behind NAT · `mirrors` files and web servers · `memory`
none at all, for tests.
"""
