"""Whatever letters another node sends: they reach a mailbox, or are refused, and harm no actor."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.kit import PATIENCE, Total, parts
from tests.fuzz.every import TYPES
from tests.transport.test_hostile import BODIES, NUMBERS, TEXTS
from tucano.actors.kernel import System
from tucano.transport.link import Kind, Letter

NAMES = TEXTS | st.sampled_from(["a", "root", "evil/a", "here/a", "/", "evil/", "evil/a/b", "evil/\n"])
TAGS = st.sampled_from(["", *TYPES, "kit.Add/2"])
MALFORMED = st.builds(msgspec.Raw, st.binary(max_size=30))
KINDS = st.sampled_from([kind for kind in Kind if kind != Kind.STOP]) | NUMBERS.filter(lambda kind: kind != Kind.STOP)
CONTEXTS = TEXTS | st.sampled_from(["t:s:p:tell", ":::timer", "t:s:p:none"])
LETTERS = st.builds(Letter, KINDS, NAMES, NAMES, NUMBERS, NUMBERS, TAGS, BODIES | MALFORMED, CONTEXTS)


@pytest.fixture(scope="module")
def here() -> Iterator[System]:
    system = System("here")
    system.run(parts("a"))
    system.wait_until_up()
    yield system
    assert system.stop(20)


@settings(max_examples=300)
@given(st.lists(LETTERS, max_size=6))
def test_any_letters_are_delivered_or_refused_and_the_actors_go_on(here: System, letters: list[Letter]) -> None:
    here.far.letters("evil", letters)
    assert here.ref("a").ask(Total(), timeout=PATIENCE) == 0
    assert not any(actor.restarts for actor in here.snapshot())
