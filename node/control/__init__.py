"""How a node is given orders: the control API, on this machine over a unix socket, from others over mutual TLS.

`interface` what can be asked, as one class · `orders` what it is asked with · `progress`, `views` what it answers ·
`methods` the table that follows from these · `messages` values to bytes and back · `faults` errors to gRPC and back ·
`socket_file` one node in one folder · `server`, `client` the two ends · `line` the client's gRPC · `control_pb2`
generated from `control.proto`.

Whoever gives orders needs `client`, `orders`, `progress` and `views`, which load no library; the daemon implements
`interface.Node`.
"""
