"""Records and blobs between peers: one interface, whatever road the bytes take.

`interface` what a peer can be asked and what a node serves · `requests`, `pieces` what goes over the line · `server`
the serving side of every road, within a `budget` · `answers` what the asking side makes of what comes · `shelf` one in
memory · `clock` time that a test can move by hand · `download` from several sources at once, with `scheduler`,
`wanted`, `scores`, `outcomes`, `grudges` and `progress`.
"""
