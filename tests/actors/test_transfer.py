"""Which pieces are asked for, over made-up arrivals."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.pure.transfer import PIECE, WINDOW, Piece, Transfer


def data(piece: Piece) -> bytes:
    return bytes([piece.offset // PIECE % 251]) * piece.length


def go_on(transfer: Transfer, rounds: int, way: Callable[[int], float]) -> list[int]:
    """Let pieces come, one after the other, each `way(how many are asked for)` after it was asked for.

    Returns:
        How many were asked for after each.

    """
    now, asked, counts = 0.0, deque((piece, 0.0) for piece in transfer.ask(0.0)), []
    for _ in range(rounds):
        piece, since = asked.popleft()
        now = max(now, since + way(1 + len(asked)))
        assert transfer.came(piece.offset, data(piece), now) == [data(piece)]
        asked += [(piece, now) for piece in transfer.ask(now)]
        counts.append(len(asked))
    return counts


def test_a_long_way_is_filled_as_far_as_the_window() -> None:
    counts = go_on(Transfer(1000 * PIECE), 40, lambda _: 0.1)
    assert counts[:4] == [2, 3, 4, 5]
    assert counts[-1] == WINDOW // PIECE


def test_what_would_only_wait_at_the_sender_is_not_asked_for() -> None:
    counts = go_on(Transfer(1000 * PIECE), 200, lambda asked: 0.001 * asked)  # each takes its time, one after the other
    assert max(counts[20:]) <= 4


def test_what_does_not_come_is_asked_for_again_and_halves_the_credit() -> None:
    transfer = Transfer(100 * PIECE)
    for _ in range(5):
        for piece in transfer.ask(0.0):
            transfer.came(piece.offset, data(piece), 0.0)
    asked = transfer.ask(0.0)
    assert len(asked) == WINDOW // PIECE
    for piece in asked:
        transfer.missed(piece.offset)
    assert transfer.ask(1.0) == asked[:1]


def test_a_transfer_goes_on_where_an_earlier_one_ended() -> None:
    transfer = Transfer(PIECE + 10, at=20)
    asked = transfer.ask(0.0)
    assert asked == [Piece(20, PIECE - 10)]
    transfer.came(20, data(asked[0]), 0.0)
    assert transfer.is_complete
    assert Transfer(7, at=7).is_complete
    assert Transfer(7, at=7).ask(0.0) == []
    with pytest.raises(ValueError, match="cannot be here"):
        Transfer(7, at=8)


def test_a_piece_of_another_length_is_no_piece_of_it() -> None:
    transfer = Transfer(10)
    transfer.ask(0.0)
    with pytest.raises(ValueError, match="9 bytes came instead of 10"):
        transfer.came(0, b"x" * 9, 0.0)


TIMES = st.floats(0, 10)


@given(st.integers(0, 20 * PIECE), st.integers(0, PIECE), st.data())
def test_all_arrives_once_in_order_whatever_is_missed_or_late_and_never_more_than_the_window_is_on_its_way(
    size: int, at: int, drawn: st.DataObject
) -> None:
    at = min(at, size)
    transfer, on_its_way = Transfer(size, at), list[Piece]()
    stale: list[Piece] = []
    written, misses = at, 0
    on_its_way += transfer.ask(0.0)
    while not transfer.is_complete:
        assert on_its_way, "it waits for something"
        assert max(piece.offset + piece.length for piece in on_its_way) - transfer.done <= WINDOW
        assert len({piece.offset for piece in on_its_way}) == len(on_its_way)
        piece = on_its_way.pop(drawn.draw(st.integers(0, len(on_its_way) - 1)))
        if misses < 30 and drawn.draw(st.booleans()):
            misses += 1
            transfer.missed(piece.offset)
            stale.append(piece)
        else:
            for ready in transfer.came(piece.offset, bytes(piece.length), drawn.draw(TIMES)):
                written += len(ready)
            assert written == transfer.done
        if stale and stale[-1] not in on_its_way and drawn.draw(st.booleans()):
            transfer.missed(stale.pop().offset)  # refused twice: no harm
        on_its_way += transfer.ask(0.0)
    assert written == size
    assert transfer.came(0, b"late", 9.0) == []
