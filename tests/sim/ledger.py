"""What clients were promised: the commands of each service, and what the record may therefore say. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tests.sim.doors import Answer
from tests.sim.machine import CRASHES, HANGS
from tucano.actors.messages.model import Service, Spec

Op = Literal["deploy", "scale", "restart", "undeploy"]


class Wanted(NamedTuple):
    """One state of a service that clients may have brought about.

    Attributes:
        replicas: as commanded last.
        number: of the last revision.
        good: whether that revision can run; None if nobody knows.

    """

    replicas: int
    number: int
    good: bool | None


def works(spec: Spec) -> bool:
    """Whether what it describes can run."""
    return spec.build.script != CRASHES and spec.run.script not in (CRASHES, HANGS)


class Ledger:
    """One service's commands.

    Attributes:
        states: those that are possible; None stands for no service. An unanswered command doubles them.

    """

    def __init__(self) -> None:
        self.states: set[Wanted | None] = {None}

    def note(self, op: Op, answer: Answer, spec: Spec | None = None, replicas: int = 0) -> str:
        """Take note of a command and what came of it; returns what is wrong with the answer."""
        after = {applied for state in self.states for applied in _applied(state, op, spec, replicas)}
        if not answer.is_known:
            self.states |= after
            return ""
        if answer.code:
            return ""
        if op in ("deploy", "restart"):
            after = {state for state in after if state is not None and state.number == answer.ok["revision"]}
        if not after:
            return f"{op} was answered with {answer.ok}, after {self.states}: something acknowledged was lost"
        self.states = after
        return ""

    def objection(self, service: Service | None, *, forgiving: bool) -> str:
        """What is wrong with the record when all is quiet.

        Args:
            service: as the record has it.
            forgiving: a release that can run may have failed all the same.

        """
        if any(_agrees(state, service, forgiving=forgiving) for state in self.states):
            return ""
        return f"the record has {service}, the commands were for one of {self.states}"


def _applied(state: Wanted | None, op: Op, spec: Spec | None, replicas: int) -> list[Wanted | None]:
    match op:
        case "deploy":
            assert spec is not None
            return [Wanted(spec.replicas, 1 if state is None else state.number + 1, works(spec))]
        case "undeploy":
            return [None]
        case "scale":
            return [] if state is None else [state._replace(replicas=replicas)]
        case "restart":  # of what is the target just then
            good = None if state is None or not state.good else True
            return [] if state is None else [state._replace(number=state.number + 1, good=good)]


def _agrees(state: Wanted | None, service: Service | None, *, forgiving: bool) -> bool:
    if state is None or service is None:
        return state is None and service is None
    if (state.replicas, state.number) != (service.replicas, service.last_number):
        return False
    if service.halted:
        return forgiving or not state.good
    if not works(service.target.spec):
        return False
    done = service.rollout == "done" and service.target.number == state.number
    reverted = service.rollout == "failed" and service.target.number < state.number
    if state.good is None or (state.good and forgiving):
        return done or reverted
    return done if state.good else reverted
