"""What the data path counts of services and of their instances."""

from tests.actors.test_proxy_kit import PATIENCE, Instance, Stage, Wire, answers, polite, staged, until
from tucano.actors.messages.latency import quantile
from tucano.actors.proxy import ServiceStats

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POST = b"POST / HTTP/1.1\r\nHost: hello\r\nContent-Length: 5\r\n\r\nhello"


def seen(stage: Stage) -> ServiceStats:
    until(lambda: "hello" in stage.proxy.stats())
    return stage.proxy.stats("hello")["hello"]


def ended(stage: Stage) -> ServiceStats:
    """The counts, when no request is open."""
    until(lambda: not seen(stage).in_flight)
    return seen(stage)


def held(instance: Instance, wire: Wire) -> None:
    """Answer when the test says so."""
    wire.head()
    instance.go.wait(PATIENCE)
    wire.send(OK)


def test_a_request_is_counted_by_its_instance_and_in_its_service() -> None:
    with staged() as stage:
        stage.serve(answers(OK))
        stage.ask(POST)
        found = ended(stage)
        assert (found.requests, found.received, found.sent, found.classes) == (1, 5, 2, {2: 1})
        [one] = found.instances
        assert (one.instance, one.received, one.sent, one.classes, one.in_flight) == ("hello-0", 5, 2, {2: 1}, 0)
        assert one.latency == found.latency
        assert 0 < (quantile(found.latency, 0.5) or 0) < PATIENCE
        assert stage.proxy.stats()["hello"].instances == ()


def test_what_no_instance_answered_is_counted_in_the_service_alone() -> None:
    with staged() as stage:
        stage.serve(polite)
        stage.route()
        until(lambda: not seen(stage).instances)
        assert stage.ask().status == 503
        assert (ended(stage).classes, seen(stage).errors) == ({5: 1}, 1)


def test_what_an_instance_has_done_stays_counted_when_it_is_gone() -> None:
    with staged() as stage:
        old = stage.instance("old", answers(OK))
        stage.route(old.target())
        stage.ask(POST)
        ended(stage)
        stage.route(stage.instance("new", answers(OK)).target())
        until(lambda: [one.instance for one in seen(stage).instances] == ["new"])
        stage.ask(POST)
        found = ended(stage)
        assert (found.classes, found.received, sum(found.latency.counts)) == ({2: 2}, 10, 2)
        assert found.instances[0].classes == {2: 1}


def test_an_instance_that_leaves_with_a_request_open_is_counted_when_that_ends() -> None:
    with staged() as stage:
        slow = stage.instance("slow", held)
        stage.route(slow.target())
        wire = stage.wire()
        wire.send(b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n")
        until(lambda: [one.in_flight for one in seen(stage).instances] == [1])
        other = stage.instance("other")
        stage.route(other.target())
        until(lambda: {one.instance for one in seen(stage).instances} == {"other", "slow"})
        slow.go.set()
        assert wire.reply().status == 200
        ended(stage)
        stage.route(other.target(ready=False))
        until(lambda: [one.instance for one in seen(stage).instances] == ["other"])
        assert ended(stage).classes == {2: 1}


def test_another_attempt_is_counted_at_the_instance_that_failed_and_told_in_the_log() -> None:
    with staged() as stage:
        bad, good = stage.instance("bad", lambda *_: None), stage.instance("good", answers(OK))
        stage.route(bad.target(), good.target())
        until(lambda: stage.ask().status == 200 and seen(stage).retries > 0)
        retries = {one.instance: one.retries for one in seen(stage).instances}
        assert retries == {"bad": seen(stage).retries, "good": 0}


def test_an_instance_that_is_left_alone_is_counted() -> None:
    with staged() as stage:
        bad, good = stage.instance("bad", lambda *_: None), stage.instance("good", answers(OK))
        stage.route(bad.target(), good.target())
        until(lambda: stage.ask().status and seen(stage).ejections > 0)
        assert {one.instance: one.ejections > 0 for one in seen(stage).instances} == {"bad": True, "good": False}


def test_a_tunnel_is_counted_and_not_timed() -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhi"
    with staged() as stage:
        stage.serve(answers(switching, close=True))
        with stage.wire() as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: hello\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            reply = wire.head()
            assert reply is not None
            assert reply.value(b"x-request-id") is not None
        until(lambda: seen(stage).classes == {1: 1})
        assert seen(stage).latency.counts == ()
