"""Send what no friend would send to a real node, and see that nothing comes of it.

`python -m tests.fuzz [--frames N] [--seed S]`: a million frames by default, over real sockets.
`python -m tests.fuzz guided [--seconds S] [--decoder NAME]`: guided by coverage, with atheris (`pip install
'.[fuzz]'`), on the decoders alone; what it finds is kept in tests/fuzz/corpus.
"""

from __future__ import annotations

import argparse
import json
import sys


def main() -> int:
    """Run what the command line names; 1 if there was a fault."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("how", nargs="?", choices=("sockets", "guided"), default="sockets")
    parser.add_argument("--frames", type=int, default=1_000_000, help="frames to send (default: a million)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=300, help="length of a guided run, for all decoders together")
    parser.add_argument("--decoder", help="for guided: this one only")
    options = parser.parse_args()
    if options.how == "guided":
        from tests.fuzz.guided import guided

        return guided(options.seconds, options.decoder)
    from tests.fuzz.run import run

    report = run(options.frames, options.seed)
    print(json.dumps(report.figures, indent=2))
    for fault in report.faults:
        print(f"FAULT: {fault}")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
