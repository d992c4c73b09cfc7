"""`python -m tests.bench NAME [--json] [--rounds N] [--seconds N]`: run one benchmark and print a row a figure."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import sys
from pathlib import Path

from tests.bench.table import Row

_PARTS = ("__init__", "__main__", "table", "kit", "proxies", "caller")
BENCHES = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if path.stem not in _PARTS and not path.stem.startswith("test_")
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
    names = [f"{row.what} [{row.unit}]{f' against {row.against}' if row.against else ''}" for row in rows]
    width = max(52, *map(len, names)) if names else 52
    lines = [f"{'':{width}}{'tucano':>12}{'theirs':>12}{'ratio':>8}{'target':>9}"]
    for name, row in zip(names, rows, strict=True):
        line = f"{name:{width}}{_figure(row.tucano):>12}"
        if row.against:
            theirs = "not here" if row.theirs is None else _figure(row.theirs)
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            sign = ">=" if row.better == "higher" else "<="
            met = {True: "met", False: "missed", None: ""}[row.met]
            line += f"{theirs:>12}{ratio:>8}{sign:>4}{row.target:>5g}  {met}"
        lines.append(line)
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=BENCHES)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--rounds", type=int, help="interleaved rounds, of which the median is taken")
    parser.add_argument("--seconds", type=int, help="length of one run or round")
    options = parser.parse_args()
    run = importlib.import_module(f"tests.bench.{options.name}").run
    given = {name: value for name in ("rounds", "seconds") if (value := getattr(options, name)) is not None}
    for name in given.keys() - inspect.signature(run).parameters.keys():
        parser.error(f"{options.name} takes no --{name}")
    rows: list[Row] = run(**given)
    print(as_json(options.name, rows) if options.json else as_text(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
