"""Published attacks: each is refused, or is to everybody what the standard says, and never one request more."""

import random

import pytest

from tests.actors.test_proxy_kit import staged
from tests.outside import model
from tests.outside.corpus import ATTACKS, SMUGGLED, Attack
from tests.outside.differential import check_requests
from tests.outside.sockets import Sockets


def test_each_attack_has_a_name_of_its_own() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) > 650


def test_lengths_in_the_corpus_hide_what_they_mean_to_hide() -> None:
    assert len(SMUGGLED) == 39 == 0x27


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_a_published_attack_means_one_thing_or_is_refused(attack: Attack) -> None:
    read = model.requests(attack.data)
    assert (read.refused is None) == bool(attack.harmless), read
    assert len(read.asked) == attack.harmless
    assert not read.cut
    assert check_requests(attack.data) == attack.harmless


def test_published_attacks_over_sockets_come_out_as_the_parsers_say() -> None:
    with staged(hold=0.0) as stage:
        through = Sockets(stage, random.Random(1))
        for attack in ATTACKS:
            through.requests(attack.data)
