"""What is told of tcp services to which users cannot connect."""

from __future__ import annotations

import msgspec

from tucano.actors.messages.model import Revision, Route, Run, Service, Spec, Worker
from tucano.actors.pure.hearing import complaint, heard_at

SPEC = Spec("db", Run("./db"), route=Route(protocol="tcp", port=5432))
SERVICE = Service("db", 1, Revision(1, SPEC, "a" * 64, 1, 0.0))
NODES = {name: Worker(name, "ready", 0.0, role="balancer") for name in ("balancer", "balancer-2")}
WHY = "cannot listen: port 5432 is in use"


def before(text: str) -> Service:
    return msgspec.structs.replace(SERVICE, unheard=text)


def test_one_balancer_that_cannot_listen_is_enough() -> None:
    assert complaint(SERVICE, {"balancer": {}, "balancer-2": {"5432": WHY}}, NODES) == f"balancer-2 {WHY}"


def test_a_balancer_that_listens_does_not_speak_for_another() -> None:
    said = {"balancer": {}, "balancer-2": {"5432": WHY}}
    assert complaint(before(f"balancer-2 {WHY}"), said, NODES) == f"balancer-2 {WHY}"
    assert complaint(before(f"balancer-2 {WHY}"), {"balancer": {}}, NODES) == f"balancer-2 {WHY}"


def test_who_listens_again_or_is_gone_has_nothing_to_complain_of() -> None:
    assert complaint(before(f"balancer-2 {WHY}"), {"balancer": {}, "balancer-2": {}}, NODES) == ""
    gone = NODES | {"balancer-2": Worker("balancer-2", "gone", 0.0, role="balancer")}
    assert complaint(before(f"balancer-2 {WHY}"), {"balancer": {}, "balancer-2": {"5432": WHY}}, gone) == ""


def test_a_port_is_heard_when_each_balancer_that_is_there_has_said_so_or_had_the_time() -> None:
    assert heard_at(SERVICE, {}, NODES, patient=True) == 0
    assert heard_at(SERVICE, {"balancer": {"5432": ""}, "balancer-2": {"6379": ""}}, NODES, patient=True) == 0
    assert heard_at(SERVICE, {"balancer": {"5432": ""}, "balancer-2": {"5432": WHY}}, NODES, patient=True) == 5432
    assert heard_at(SERVICE, {}, NODES, patient=False) == 5432
    silent = NODES | {"balancer-2": Worker("balancer-2", "silent", 0.0, role="balancer")}
    assert heard_at(SERVICE, {"balancer": {"5432": ""}}, silent, patient=True) == 5432
    http = Revision(1, Spec("web", Run("./web")), "a" * 64, 1, 0.0)
    assert heard_at(Service("web", 1, http), {}, NODES, patient=True) == 0
