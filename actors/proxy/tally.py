"""What is counted of requests that have ended.

Each request is counted once: by the instance that had it last, or by its service if it reached none. What a service has
counted in all is the sum, made when somebody asks.
"""

from typing import Final, NamedTuple

from tucano.actors.messages.latency import SLOTS, Latency

UNTIMED: Final = SLOTS  # the slot of what is not to be timed: tunnels last as long as their users like


class InstanceStats(NamedTuple):
    """What is told of an instance: its id, its open requests; the rest as in `Tally`."""

    instance: str
    in_flight: int
    classes: dict[int, int]
    received: int
    sent: int
    retries: int
    ejections: int
    latency: Latency


class Tally:
    """Counts that only grow. Added to in the loop's thread alone; may be read from any.

    Attributes:
        classes: Answers by the first digit of their status, ours included; 4 counts clients that left, too.
        slots: Answers by the time from the request's head to the answer's end: see `tucano.actors.messages.latency`.
        received: Bytes of requests' bodies, and of what users sent into tunnels.
        sent: Bytes of answers' bodies, and of what instances sent into tunnels.
        retries: Attempts that failed and were followed by another.
        ejections: How often an instance was left alone for a while.
    """

    __slots__ = ("classes", "ejections", "received", "retries", "sent", "slots")

    def __init__(self) -> None:
        self.classes = [0] * 6
        self.slots = [0] * (SLOTS + 1)
        self.received = 0
        self.sent = 0
        self.retries = 0
        self.ejections = 0

    def add(self, status: int, slot: int, received: int, sent: int) -> None:
        """One more request has ended."""
        self.classes[status // 100] += 1
        self.slots[slot] += 1
        self.received += received
        self.sent += sent

    def absorb(self, other: "Tally") -> None:
        """Count what the other has counted, too."""
        self.classes = [a + b for a, b in zip(self.classes, other.classes, strict=True)]
        self.slots = [a + b for a, b in zip(self.slots, other.slots, strict=True)]
        self.received += other.received
        self.sent += other.sent
        self.retries += other.retries
        self.ejections += other.ejections

    def stats(self, instance: str, in_flight: int) -> InstanceStats:
        """The counts of an instance, as they stand."""
        classes = {digit: count for digit, count in enumerate(self.classes) if count}
        return InstanceStats(
            instance, in_flight, classes, self.received, self.sent, self.retries, self.ejections, self.latency()
        )

    def latency(self) -> Latency:
        """The times, as they stand."""
        return Latency.of(self.slots[:SLOTS])
