"""Testing actors: a probe, and a simulation that runs the same actors on virtual time, replayed by a seed.

The simulation is real: the actors, trees, mailboxes, watches and timers are the kernel's own, Pykka's own loop is
stepped one message at a time, and what nodes say to each other is encoded to bytes and decoded again. Only threads,
clocks and sockets are not there: one thread gives turns, in an order drawn from the seed.
"""

from tucano.testing.probe import Probe
from tucano.testing.seeds import seeds
from tucano.testing.simulation import Simulation

__all__ = ["Probe", "Simulation", "seeds"]
