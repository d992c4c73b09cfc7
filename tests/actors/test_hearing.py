"""What is told of tcp services to which users cannot connect."""

from __future__ import annotations

import msgspec

from tucano.actors.messages.model import Revision, Route, Run, Service, Spec, Worker
from tucano.actors.pure.hearing import complaint, undecided

SERVICE = Service("db", 1, Revision(1, Spec("db", Run("./db")), "a" * 64, 1, 0.0))
NODES = {name: Worker(name, "ready", 0.0, role="balancer") for name in ("balancer", "balancer-2")}
WHY = "cannot listen: port 5432 is in use"


def before(text: str) -> Service:
    return msgspec.structs.replace(SERVICE, unheard=text)


def test_one_balancer_that_cannot_listen_is_enough() -> None:
    assert complaint(SERVICE, {"balancer": {}, "balancer-2": {"db": WHY}}, NODES) == f"balancer-2 {WHY}"


def test_a_balancer_that_listens_does_not_speak_for_another() -> None:
    said = {"balancer": {}, "balancer-2": {"db": WHY}}
    assert complaint(before(f"balancer-2 {WHY}"), said, NODES) == f"balancer-2 {WHY}"
    assert complaint(before(f"balancer-2 {WHY}"), {"balancer": {}}, NODES) == f"balancer-2 {WHY}"


def test_who_listens_again_or_is_gone_has_nothing_to_complain_of() -> None:
    assert complaint(before(f"balancer-2 {WHY}"), {"balancer": {}, "balancer-2": {}}, NODES) == ""
    gone = NODES | {"balancer-2": Worker("balancer-2", "gone", 0.0, role="balancer")}
    assert complaint(before(f"balancer-2 {WHY}"), {"balancer": {}, "balancer-2": {"db": WHY}}, gone) == ""


def test_it_is_undecided_until_each_balancer_that_is_heard_has_said() -> None:
    spec = msgspec.structs.replace(SERVICE.target.spec, route=Route(protocol="tcp", port=5432))
    db = msgspec.structs.replace(SERVICE, target=msgspec.structs.replace(SERVICE.target, spec=spec))
    assert undecided(db, {}, NODES)
    assert undecided(db, {"balancer": {"db": ""}, "balancer-2": {"other": ""}}, NODES)
    assert not undecided(db, {"balancer": {"db": ""}, "balancer-2": {"db": WHY}}, NODES)
    assert not undecided(SERVICE, {}, NODES)  # HTTP: at a port that all share
    silent = NODES | {"balancer-2": Worker("balancer-2", "silent", 0.0, role="balancer")}
    assert not undecided(db, {"balancer": {"db": ""}}, silent)
