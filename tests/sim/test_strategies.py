"""Trees of each strategy under many seeds: whatever crashes, hangs or is cut off, the promises of the kernel hold."""

from __future__ import annotations

import pytest

from tests.sim.forest import GENEROUS, TIMEOUT
from tests.sim.weather import Storm
from tucano.actors.kernel import Law
from tucano.testing import Simulation, seeds

STRATEGIES = pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])

AT_HOME = ("tell", "tell", "ask", "ask", "fail")
HANGING = (*AT_HOME, "freeze", "thaw")
ABROAD = (*HANGING, "crash", "partition", "heal", "noise")


@STRATEGIES
@seeds(200)
def test_every_message_is_accounted_for_and_every_actor_comes_back(simulation: Simulation, strategy: str) -> None:
    storm = Storm(simulation, 1, strategy=strategy, law=GENEROUS)
    storm.blow(40, *(HANGING if simulation.seed % 2 else AT_HOME))
    storm.calm()
    assert storm.ledger.unhandled() == storm.dead_letters()


@STRATEGIES
@seeds(100)
def test_nodes_that_crash_and_networks_that_fail_break_no_promise(simulation: Simulation, strategy: str) -> None:
    storm = Storm(simulation, 3, strategy=strategy, law=GENEROUS)
    storm.blow(25, *ABROAD)
    storm.calm()


@STRATEGIES
@seeds(30)
def test_a_node_that_gives_up_ends_and_leaves_nobody_waiting(simulation: Simulation, strategy: str) -> None:
    storm = Storm(simulation, 1, strategy=strategy, law=Law(intensity=2, period=30.0, base=0.01, ceiling=0.1))
    node, system = storm.nodes[0], storm.nodes[0].system
    assert system is not None
    for _ in range(30):
        if not system.ended.is_set():
            storm.blow(10, *HANGING)
    simulation.thaw()
    simulation.run(2 * TIMEOUT)
    assert "crashes within" in str(system.gave_up)
    assert system.snapshot() == []
    assert node.players == {}
    storm.ledger.check_asks(*storm.ends)
    assert storm.ledger.unhandled() == storm.dead_letters()
