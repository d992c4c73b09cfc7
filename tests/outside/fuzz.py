"""`python -m tests.outside.fuzz --cases N --sockets M --seed S`: requests and answers that are nearly right.

Each case is a request and an answer, through the parsers alone and compared with h11, llhttp and lenient readers; M of
them through the proxy over sockets, too. The first difference ends the run and is printed with its bytes.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import NamedTuple

from tests.actors.test_proxy_kit import staged
from tests.outside.differential import Differs, check_answer, check_requests
from tests.outside.grammar import Grammar
from tests.outside.sockets import Sockets

WILD = (2, 6, 12, 25)  # of a hundred choices are broken: from nearly right to noise
_METHODS = (b"GET", b"GET", b"HEAD", b"POST")


class Count(NamedTuple):
    """How many cases were drawn, and of how many the request and the answer were taken; the others were refused."""

    cases: int
    requests: int
    answers: int


def pure(cases: int, seed: int) -> Count:
    """Check so many requests and answers without sockets.

    Raises:
        Differs: Two readers differ.
    """
    chance = random.Random(seed)
    grammars = [Grammar(chance, wild) for wild in WILD]
    requests = answers = 0
    for number in range(cases):
        grammar = grammars[number % len(grammars)]
        requests += check_requests(grammar.requests()) > 0
        answers += check_answer(grammar.answer(), chance.choice(_METHODS))
    return Count(cases, requests, answers)


def sockets(cases: int, seed: int) -> Count:
    """Send so many messages, half of them requests and half answers, through the proxy.

    Raises:
        Differs: Something else came out than the parsers say.
    """
    chance = random.Random(seed)
    grammars = [Grammar(chance, wild) for wild in WILD]
    with staged(hold=0.0) as stage:
        through = Sockets(stage, chance)
        for number in range(0, cases, 2):
            grammar = grammars[number // 2 % len(grammars)]
            through.requests(grammar.requests())
            through.answer(grammar.answer(), chance.choice(_METHODS))
    return Count(cases, cases // 2, cases // 2)


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.outside.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="without sockets")
    parser.add_argument("--sockets", type=int, default=1_000, help="through the proxy")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        count = pure(options.cases, options.seed)
        print(f"{count.cases} cases alike for all readers; taken: {count.requests} requests, {count.answers} answers")
        count = sockets(options.sockets, options.seed)
        print(f"{count.cases} cases through the proxy came out as its parsers say")
    except Differs as error:
        print(f"seed {options.seed}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
