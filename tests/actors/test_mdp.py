"""The Majordomo broker by itself: frames in, frames out."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tucano.actors.messages import model
from tucano.actors.proxy import Service, Target
from tucano.actors.proxy.mdp import ERROR, Broker
from tucano.actors.proxy.mdp_queue import Client, Limits, Place
from tucano.actors.proxy.zmtp import Frames, pack, unpack


class World:
    """A broker, what it sent to clients and to instances, and a clock."""

    def __init__(self, **limits: float) -> None:
        self.answers: list[Frames] = []
        self.sent: list[tuple[str, Frames]] = []  # to which instance
        self.broker = Broker(random.Random(1), Limits(**limits))  # type: ignore[arg-type]
        self.clients: dict[bytes, Client] = {}
        self.places: dict[str, Place] = {}
        self.now = 0.0

    def apply(
        self,
        *names: str,
        draining: tuple[str, ...] = (),
        up: bool = True,
        balance: model.Balance | None = None,
        **options: bool,
    ) -> list[str]:
        """Make these the instances of `echo`; return who is to be disconnected."""
        targets = [Target(name, "h", 1, name not in draining) for name in (*names, *draining)]
        service = Service(
            "echo",
            tuple(targets),
            options.get("expected", False),
            model.Route(protocol="zmq"),
            balance or model.Balance(repeat=options.get("repeat", False)),
        )
        new, gone = self.broker.apply([service], self.now)
        for place in new:
            name = place.key[0]
            self.places[name] = place
            place.send = self._sender(name)
            if up:
                self.broker.connected(place, self.now)
        return [place.key[0] for place in gone]

    def _sender(self, name: str) -> Callable[[bytes], None]:
        return lambda message: self.sent.append((name, unpack(message)))

    def ask(self, *body: bytes, client: bytes = b"ann", service: bytes = b"echo") -> None:
        self.say(client, b"", b"MDPC01", service, *body)

    def say(self, client: bytes, *frames: bytes) -> None:
        """A message of a client's; what it is answered is noted with its name in front."""
        if client not in self.clients:
            self.clients[client] = Client(lambda message: self.answers.append([client, *unpack(message)]))
        self.broker.requests(self.clients[client], [pack(frames)], self.now)

    def reply(self, name: str, *frames: bytes) -> None:
        """A message of an instance's."""
        self.broker.replies(self.places[name], [pack(frames)], self.now)

    def serve(self, count: int = 1) -> None:
        """The instances answer the oldest requests that they have."""
        for _ in range(count):
            name, frames = self.sent.pop(0)
            self.reply(name, *frames)

    def bodies(self) -> list[tuple[bytes, ...]]:
        """What clients were told since the last look, without the heads."""
        found = [tuple(frames[4:]) for frames in self.answers]
        self.answers.clear()
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_request_reaches_an_instance_and_its_answer_the_client(world: World) -> None:
    world.apply("one")
    world.ask(b"a", b"b")
    ((name, frames),) = world.sent
    assert name == "one"
    assert frames[1:] == [b"", b"a", b"b"]
    world.reply("one", frames[0], b"", b"c", b"")
    assert world.answers == [[b"ann", b"", b"MDPC01", b"echo", b"c", b""]]


@pytest.mark.parametrize("delimiter", [[], [b""]])
def test_clients_of_the_second_version_get_one_final_answer(world: World, delimiter: Frames) -> None:
    world.apply("one")
    world.say(b"ann", *delimiter, b"MDPC02", b"\x01", b"echo", b"a")
    world.serve()
    assert world.answers == [[b"ann", *delimiter, b"MDPC02", b"\x03", b"echo", b"a"]]


@pytest.mark.parametrize("frames", [[b"", b"MDPC01", b"echo"], [b"MDPC02", b"\x01", b"echo"]])
def test_a_request_without_a_body_has_an_empty_one(world: World, frames: Frames) -> None:
    world.apply("one")
    world.say(b"ann", *frames)
    ((_, sent),) = world.sent
    assert sent[1:] == [b"", b""]


@pytest.mark.parametrize(
    "frames",
    [
        [], [b""], [b"", b"MDPC01"], [b"MDPC01", b"echo", b"a"],
        [b"", b"MDPW01", b"\x01", b"a"], [b"", b"MDPC03", b"echo", b"a"], [b"MDPC02"],
        [b"MDPC02", b"\x02", b"echo", b"a"],
        [b"", b"", b"MDPC01", b"echo", b"a"], [b"x" * 1000] * 50,
    ],
)  # fmt: skip
def test_what_is_no_request_is_dropped_and_counted(world: World, frames: Frames) -> None:
    world.apply("one")
    world.say(b"ann", *frames)
    assert (world.answers, world.sent, world.broker.malformed) == ([], [], 1)


def test_unknown_services_and_those_without_an_instance_are_answered_at_once(world: World) -> None:
    world.apply()
    world.ask(b"a", service=b"nobody")
    world.ask(b"a")
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"404"), (ERROR, b"503")]


def test_the_management_interface_says_what_can_be_asked_for(world: World) -> None:
    world.apply("one", up=False)
    world.ask(b"echo", service=b"mmi.service")
    world.broker.connected(world.places["one"], 0.0)
    for name in (b"echo", b"nobody"):
        world.ask(name, service=b"mmi.service")
    world.ask(b"echo", service=b"mmi.workers")
    assert world.bodies() == [(b"404",), (b"200",), (b"404",), (b"501",)]


def test_a_request_waits_for_an_instance_that_is_expected(world: World) -> None:
    world.apply(expected=True)
    world.ask(b"a")
    assert world.answers == []
    world.apply("one")
    world.serve()
    assert world.bodies() == [(b"a",)]
    world.apply(expected=True)
    world.ask(b"b")
    world.now = 3.1
    world.broker.tick(world.now)
    assert world.bodies() == [(ERROR, b"503", b"no instance of echo took the request in time")]


def test_no_more_than_a_window_is_at_one_instance_and_the_rest_waits_its_turn() -> None:
    world = World(window=2)
    world.apply("one", "two")
    for number in range(10):
        world.ask(b"%d" % number)
    assert sorted(name for name, _ in world.sent) == ["one", "one", "two", "two"]
    for _ in range(10):
        world.serve()
        assert max(place.open for place in world.places.values()) <= 2
    assert sorted(world.bodies()) == [(b"%d" % number,) for number in range(10)]


def test_clients_take_turns_however_much_one_of_them_asks() -> None:
    world = World(window=1)
    world.apply("one")
    for number in range(5):
        world.ask(b"greedy %d" % number, client=b"greedy")
    world.ask(b"ann")
    world.ask(b"bob", client=b"bob")
    world.serve(7)
    first = [body[0] for body in world.bodies()][:4]
    assert {b"ann", b"bob"} < set(first)


def test_a_client_that_floods_is_refused_and_others_are_served() -> None:
    world = World(client=3, window=100)
    world.apply("one")
    for _ in range(5):
        world.ask(b"a", client=b"greedy")
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"429")] * 2
    world.ask(b"b")
    world.serve(4)
    assert len(world.bodies()) == 4
    world.ask(b"c", client=b"greedy")
    world.serve()
    assert world.bodies() == [(b"c",)]


@pytest.mark.parametrize("limits", [{"queue": 2}, {"queue_bytes": 25}])
def test_what_waits_is_bounded_in_number_and_bytes(limits: dict[str, float]) -> None:
    world = World(window=1, **limits)
    world.apply("one")
    for _ in range(5):
        world.ask(b"0123456789")
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"503")] * 2
    world.serve(3)
    world.ask(b"0123456789")
    world.ask(b"0123456789")
    world.serve(2)
    assert world.bodies() == [(b"0123456789",)] * 5


def test_what_an_instance_had_when_it_died_is_told_and_not_done_twice(world: World) -> None:
    world.apply("one", "two")
    for _ in range(10):
        world.ask(b"a")
    lost = sum(name == "one" for name, _ in world.sent)
    world.broker.disconnected(world.places["one"], 0.0)
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"502")] * lost
    late = [frames for name, frames in world.sent if name == "one"]
    for frames in late:
        world.reply("one", *frames)
    assert (world.answers, world.broker.late) == ([], lost)


def test_an_instance_that_does_not_give_the_envelope_back_is_known(world: World) -> None:
    world.apply("one")
    world.ask(b"a")
    world.reply("one", b"an answer, and nothing else")
    assert (world.broker.malformed, world.broker.suspect, world.broker.late) == (1, "one", 0)
    ((_, (envelope, *_)),) = world.sent
    world.reply("one", envelope, b"without the empty frame")
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"502")]
    assert world.broker.malformed == 2


def test_what_may_be_repeated_goes_to_another_instance_and_is_answered_once(world: World) -> None:
    world.apply("one", "two", repeat=True)
    for number in range(10):
        world.ask(b"%d" % number)
    first = list(world.sent)
    world.broker.disconnected(world.places["one"], 0.0)
    for name, frames in first + world.sent[len(first) :]:
        world.reply(name, *frames)
    assert sorted(world.bodies()) == [(b"%d" % number,) for number in range(10)]
    assert world.broker.stats()["echo"].retries == world.broker.late > 0


def test_a_request_that_kills_does_not_kill_them_all() -> None:
    world = World(losses=3)
    world.apply("one", repeat=True)
    world.ask(b"poison")
    for _ in range(4):
        world.broker.disconnected(world.places["one"], 0.0)
        world.broker.connected(world.places["one"], 0.0)
    assert len(world.sent) == 4
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"502")]


def test_a_draining_instance_gets_nothing_new_and_is_let_go_when_it_has_answered(world: World) -> None:
    world.apply("old")
    world.ask(b"a")
    assert world.apply("new", draining=("old",)) == []
    world.ask(b"b")
    assert [name for name, _ in world.sent] == ["old", "new"]
    assert world.broker.in_flight() == {"old": 1, "new": 1}
    assert world.apply("new") == []  # gone from the table, and not without its answer
    world.serve(2)
    assert world.bodies() == [(b"a",), (b"b",)]
    assert [place.key[0] for place in world.broker.tick(0.0)] == ["old"]


def test_an_instance_that_does_not_answer_is_given_up(world: World) -> None:
    world.apply("one")
    world.ask(b"a")
    world.now = 61.0
    world.broker.tick(world.now)
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"504")]
    world.serve()
    assert (world.answers, world.broker.late, world.broker.in_flight()) == ([], 1, {"one": 0})


@pytest.mark.parametrize("frames", [[b"", b"x"], [b"x", b"x"], []])
def test_an_instance_that_breaks_the_envelope_is_answered_for(world: World, frames: Frames) -> None:
    world.apply("one")
    world.ask(b"a")
    key = world.sent[0][1][0]
    world.reply("one", *([key, *frames] if frames != [b"", b"x"] else [key, b""]))
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"502")]


def test_an_undeployed_service_answers_those_who_wait(world: World) -> None:
    world.apply(expected=True)
    world.ask(b"a")
    world.broker.apply([], 0.0)
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"503")]
    world.ask(b"a")
    assert [body[:2] for body in world.bodies()] == [(ERROR, b"404")]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("repeat", [False, True])
def test_whatever_happens_each_request_is_answered_exactly_once(seed: int, repeat: bool) -> None:
    """Instances come, go, die and answer in any order; at the end everybody has one answer, a right one or an error."""
    chance = random.Random(seed)
    world = World(window=3, queue=20, client=15)
    names = [f"i{number}" for number in range(6)]
    world.apply(*names[:3], repeat=repeat)
    asked = 0
    for _ in range(1000):
        world.now += chance.random() * 0.05
        match chance.randrange(12):
            case 0:
                ready = chance.sample(names, chance.randrange(4))
                world.apply(*ready, repeat=repeat, expected=chance.random() < 0.5)
            case 1 if world.places:
                world.broker.disconnected(chance.choice(list(world.places.values())), world.now)
            case 2 if world.places:
                world.broker.connected(chance.choice(list(world.places.values())), world.now)
            case 3:
                world.broker.tick(world.now)
            case 4 | 5 | 6 | 7:
                world.ask(b"%d" % asked, client=b"c%d" % chance.randrange(3))
                asked += 1
            case _ if world.sent:
                chance.shuffle(world.sent)
                world.serve()
    world.apply(repeat=repeat)
    for place in world.places.values():
        world.broker.disconnected(place, world.now)
    world.broker.apply([], world.now)
    assert len(world.answers) == asked
    right = [frames[4] for frames in world.answers if frames[4] != ERROR]
    assert len(right) == len(set(right)) > 0
    assert all(count == 0 for count in world.broker.in_flight().values())
