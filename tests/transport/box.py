"""A receiver that keeps what a link delivers."""

from __future__ import annotations

from collections.abc import Sequence

from tucano.transport.link import CONTROL, Kind, Lane, Letter

CLUSTER = "0123456789abcdef"


class Box:
    """Keeps letters and news of peers, each in the order in which they came."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Letter]] = []
        self.lanes: list[Lane] = []
        self.news: list[tuple[str, str]] = []
        self.taken: list[tuple[str, str]] = []

    def letters(self, node: str, batch: Sequence[Letter], lane: Lane = CONTROL) -> None:
        self.got += [(node, letter) for letter in batch]
        self.lanes += [lane for _ in batch]

    def peer_up(self, node: str) -> None:
        self.news.append((node, "up"))

    def peer_down(self, node: str, why: str) -> None:
        self.news.append((node, why))

    def name_taken(self, node: str, why: str) -> None:
        self.taken.append((node, why))

    def tags(self) -> list[str]:
        return [letter.tag for _, letter in self.got]


def tell(text: str) -> Letter:
    return Letter(Kind.TELL, "someone", "", 0, 0, text)
