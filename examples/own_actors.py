"""Actors of your own under a tree of your own: what crashes is started again and keeps its mailbox."""

import tucano
from tucano.actors.kernel import Actor, Child, Law, Message, Refused


class Divide(Message, frozen=True):
    a: int
    b: int


class Divider(Actor):
    Inbox = Divide  # anything else is refused to its sender

    def receive(self, message: Divide) -> int:
        if message.b < 0:
            raise Refused("refused", "positive divisors only, please")  # an answer, not a crash
        return message.a // message.b


tree = {"strategy": "one_for_all", "law": Law(intensity=5, period=10.0)}
with tucano.Node("here", [Child("divider", Divider)], **tree) as node:
    divider = node.ref("divider")
    print("84 / 2 =", divider.ask(Divide(84, 2), timeout=5))
    for wrong in (Divide(1, -1), Divide(1, 0)):
        try:
            divider.ask(wrong, timeout=5)
        except Refused as refused:
            print(f"{refused.code}: {refused}")
    print("84 / 4 =", divider.ask(Divide(84, 4), timeout=5))
    seen = next(actor for actor in node.snapshot() if actor.name == "divider")
    print(f"{seen.handled} messages, {seen.restarts} restart")
