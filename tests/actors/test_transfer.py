"""Which pieces are asked for, over made-up arrivals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.pure.transfer import PIECE, WINDOW, Piece, Transfer


def data(piece: Piece) -> bytes:
    return bytes([piece.offset // PIECE % 251]) * piece.length


def test_credit_grows_with_what_comes_as_far_as_the_window() -> None:
    transfer = Transfer(100 * PIECE)
    asked = transfer.ask()
    assert asked == [Piece(0, PIECE)]
    counts = []
    for _ in range(20):
        came = asked.pop(0)
        assert transfer.came(came.offset, data(came)) == [data(came)]
        asked += transfer.ask()
        counts.append(len(asked))
    assert counts[:4] == [2, 3, 4, 5]
    assert counts[-1] == WINDOW // PIECE


def test_what_does_not_come_is_asked_for_again_and_halves_the_credit() -> None:
    transfer = Transfer(100 * PIECE)
    for _ in range(7):
        for piece in transfer.ask():
            transfer.came(piece.offset, data(piece))
    asked = transfer.ask()
    assert len(asked) == WINDOW // PIECE
    for piece in asked:
        transfer.missed(piece.offset)
    assert transfer.ask() == asked[:1]


def test_a_transfer_goes_on_where_an_earlier_one_ended() -> None:
    transfer = Transfer(PIECE + 10, at=20)
    asked = transfer.ask()
    assert asked == [Piece(20, PIECE - 10)]
    transfer.came(20, data(asked[0]))
    assert transfer.is_complete
    assert Transfer(7, at=7).is_complete
    assert Transfer(7, at=7).ask() == []
    with pytest.raises(ValueError, match="cannot be here"):
        Transfer(7, at=8)


def test_a_piece_of_another_length_is_no_piece_of_it() -> None:
    transfer = Transfer(10)
    transfer.ask()
    with pytest.raises(ValueError, match="9 bytes came instead of 10"):
        transfer.came(0, b"x" * 9)


@given(st.integers(0, 20 * PIECE), st.integers(0, PIECE), st.data())
def test_all_arrives_once_in_order_whatever_is_missed_or_late_and_never_more_than_the_window_is_on_its_way(
    size: int, at: int, drawn: st.DataObject
) -> None:
    at = min(at, size)
    transfer, on_its_way = Transfer(size, at), list[Piece]()
    stale: list[Piece] = []
    written, misses = at, 0
    on_its_way += transfer.ask()
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
            for ready in transfer.came(piece.offset, bytes(piece.length)):
                written += len(ready)
            assert written == transfer.done
        if stale and stale[-1] not in on_its_way and drawn.draw(st.booleans()):
            transfer.missed(stale.pop().offset)  # refused twice: no harm
        on_its_way += transfer.ask()
    assert written == size
    assert transfer.came(0, b"late") == []
