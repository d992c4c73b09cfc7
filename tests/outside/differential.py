"""The promise, checked on one message: who is stricter than we are finds nothing that we let through."""

from __future__ import annotations

import contextlib

from tests.outside import model, oracles
from tests.outside.oracles import Message, NoVerdict, Unread
from tucano.actors.proxy.rules import Refused


class Differs(Exception):
    """Two parsers read the same bytes differently, or one refuses what we take."""


def check_requests(data: bytes) -> int:
    """Check every request in a client's bytes; return how many were taken.

    Raises:
        Differs: With what differs and the bytes.
    """
    read = model.requests(data)
    for asked in read.asked:
        try:
            _check_came(asked)
            if asked.service:  # else it is answered with 404
                _check_onward(asked)
        except Unread as error:
            raise Differs(f"{error}\n{asked!r}") from error
    return len(read.asked)


def _check_came(asked: model.Asked) -> None:
    """What h11 and llhttp refuse we refuse."""
    readers = [oracles.h11_request(asked.raw)]
    with contextlib.suppress(NoVerdict):
        readers.append(oracles.llhttp_request(asked.raw))
    for theirs in readers:
        _same(theirs, (asked.method, asked.targets[0]), asked.body, asked)


def _check_onward(asked: model.Asked) -> None:
    """What we send on is exactly one request, the same to all, strict or not."""
    sent = asked.onward
    readers = [oracles.h11_request(sent)]
    with contextlib.suppress(NoVerdict):
        readers.append(oracles.llhttp_request(sent))
    for read in (oracles.lenient_requests(sent, "chunked"), oracles.lenient_requests(sent, "length")):
        if len(read) != 1:
            raise Differs(f"a lenient reader sees {len(read)} requests\n{asked!r}")
        readers += read
    for theirs in readers:
        _same(theirs, (asked.method, asked.targets[1]), asked.body, asked)
        if theirs.rest or theirs.framing != readers[0].framing:
            raise Differs(f"{theirs!r} is framed otherwise than {readers[0]!r}\n{asked!r}")


def _same(theirs: Message, start: tuple[bytes, ...], body: bytes, ours: object) -> None:
    if theirs.start != start or theirs.body != body:
        raise Differs(f"{theirs!r}\n{ours!r}")


def check_answer(data: bytes, method: bytes) -> bool:
    """Check an instance's answer to a request of that method; whether it was taken.

    Raises:
        Differs: With what differs and the bytes.
    """
    try:
        ours = model.answer(data, method)
    except Refused:
        return False
    if ours is None:
        return False
    try:
        for name, data in (("raw", ours.raw), ("onward", ours.onward)):
            readers = [oracles.h11_answer(data, method, closed=ours.until_close)]
            if not ours.until_close and method != b"HEAD":
                with contextlib.suppress(NoVerdict):
                    readers.append(oracles.llhttp_answer(data))
            for theirs in readers:
                _same(theirs, (b"%d" % ours.status,), ours.body, (name, ours))
    except Unread as error:
        raise Differs(f"{error}\n{ours!r}") from error
    return True
