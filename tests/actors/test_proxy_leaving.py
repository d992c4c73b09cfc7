"""How the data path leaves: nothing new is taken, and who is there is neither cut off nor kept for ever."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.actors.test_proxy_kit import Instance, Stage, Wire, staged, until
from tucano.actors.proxy import Timeouts

GET = b"GET / HTTP/1.1\r\nHost: hello\r\n\r\n"


def test_kept_connections_are_told_to_close_with_their_next_answer() -> None:
    with staged() as stage:
        stage.serve()
        with stage.wire() as used, stage.wire() as unused:
            assert used.ask(GET).head.value(b"connection") is None
            stage.proxy.leave(10.0)
            until(lambda: not accepts(stage))
            for wire in (used, unused):
                assert wire.ask(GET).head.value(b"connection") == b"close"
                assert wire.closed()
        stage.proxy.stop(10.0, patient=True)  # nobody is left to wait for


def test_an_answer_that_was_under_way_leaves_its_connection_one_more_request() -> None:
    def slow(instance: Instance, wire: Wire) -> None:
        while wire.head() is not None:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
            instance.go.wait(10)
            wire.send(b"i")

    with staged() as stage:
        (one,) = stage.serve(slow)
        with stage.wire() as wire:
            wire.send(GET)
            head = wire.head()
            assert head is not None
            stage.proxy.leave(10.0)
            until(lambda: not accepts(stage))
            one.go.set()
            assert wire.exactly(2) == b"hi"
            assert wire.ask(GET).head.value(b"connection") == b"close"
            assert wire.closed()


@pytest.mark.parametrize("served", [True, False])
def test_who_asks_nothing_more_is_closed_when_patience_is_over(served: bool) -> None:
    with staged(timeouts=Timeouts(head=0.4)) as stage:  # which bounds how often deadlines are looked at
        stage.serve()
        with stage.wire() as wire:
            if served:
                wire.ask(GET)
            stage.proxy.leave(0.1)
            stopping = threading.Thread(target=stage.proxy.stop, args=(60.0,), kwargs={"patient": True})
            stopping.start()
            assert wire.closed()
            stopping.join()


def test_a_stop_without_patience_closes_kept_connections_at_once() -> None:
    with staged() as stage:
        stage.serve()
        with stage.wire() as wire:
            wire.ask(GET)
            stage.proxy.leave(3600.0)
            stage.proxy.stop(3600.0)
            assert wire.closed()


def accepts(stage: Stage) -> bool:
    try:
        socket.create_connection(stage.address).close()
    except ConnectionError:  # reset: it came into the queue that was just being closed
        return False
    return True
