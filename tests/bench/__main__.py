"""`python -m tests.bench NAME [--json]`: run one benchmark and print a row a figure."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from tests.bench.table import Row

BENCHES = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if path.stem not in ("__init__", "__main__", "table", "kit")
)


def as_json(bench: str, rows: list[Row]) -> str:
    """The documented shape."""
    listed = [
        {
            "what": row.what, "tucano": row.tucano, "against": row.against, "theirs": row.theirs, "ratio": row.ratio,
            "target": row.target, "better": row.better, "met": row.met,
        }
        for row in rows
    ]  # fmt: skip
    return json.dumps({"bench": bench, "rows": listed}, indent=2)


def as_text(rows: list[Row]) -> str:
    """A table."""
    lines = [f"{'':52}{'tucano':>12}{'theirs':>12}{'ratio':>8}{'target':>9}"]
    for row in rows:
        theirs = "not here" if row.theirs is None else f"{row.theirs:,.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        sign = ">=" if row.better == "higher" else "<="
        met = {True: "met", False: "missed", None: ""}[row.met]
        what = f"{row.what} [{row.unit}] against {row.against}"
        lines.append(f"{what:52}{row.tucano:>12,.4g}{theirs:>12}{ratio:>8}{sign:>4}{row.target:>5g}  {met}")
    return "\n".join(lines)


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=BENCHES)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    options = parser.parse_args()
    rows: list[Row] = importlib.import_module(f"tests.bench.{options.name}").run()
    print(as_json(options.name, rows) if options.json else as_text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
