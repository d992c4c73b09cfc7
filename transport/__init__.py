"""Bytes between nodes. Knows no actor.

`link` is what an actor system needs of a network, `wire` the bytes, `peers` who is there and `detector` who is silent,
`outgoing` what waits for a peer; `link_base` puts these together. `zmq_link` is the real thing, and `memory_link` the
one for simulations, through a `network` that can have `faults`.

Imported as `tucano.transport`: the code lies at the top of the repository, the name lies under `tucano`.
"""

if __name__ != "tucano.transport":
    raise ImportError(f"import this package as 'tucano.transport', not as {__name__!r}")
