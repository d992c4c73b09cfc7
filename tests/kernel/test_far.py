"""What other nodes send is checked at the door."""

from __future__ import annotations

import msgspec

from tests.contract.kit import PATIENCE, Total, parts
from tests.contract.world import RealWorld
from tucano.transport.link import Kind, Letter


def test_malformed_letters_harm_nobody(real: RealWorld) -> None:
    here, there = real.pair([], parts("a"))
    for kind in {*Kind, 99} - {Kind.STOP}:
        for body in (b"\xc1", b"\x01", b"\x92\x01\x02"):
            for sender in ("", "here/w", "there/a", "/"):
                tag = "kernel.Nonsense/9" if body == b"\x01" else ""
                there.far.letters("here", [Letter(kind, "a", sender, 999_999, 0, tag, msgspec.Raw(body))])
    assert here.ref("there/a").ask(Total(), timeout=PATIENCE) == 0
