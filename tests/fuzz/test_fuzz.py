"""What the fuzzing has found stays harmless, and its runner runs."""

from __future__ import annotations

import pytest

from tests.fuzz.corpus import load
from tests.fuzz.decoders import DECODERS
from tests.fuzz.run import run


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_guided_fuzzing_has_found_of_interest_is_taken_or_refused(decoder: str) -> None:
    samples = load(decoder)
    assert samples
    assert max(map(len, samples)) <= 2048
    for sample in samples:
        DECODERS[decoder](sample)


def test_a_few_thousand_frames_harm_neither_a_node_nor_the_conversation_beside_them() -> None:
    report = run(frames=6000, seed=2)
    assert not report.faults
    assert report.figures["friend's answers checked"] > 0
    assert report.figures["bridge: refused"] > 0
