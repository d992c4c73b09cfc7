"""Everything that a change must pass besides the tests: `python -m tests.house.check`, for people and CI alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ["actors", "transport", "tucano", "tests", "examples"]
BIN = Path(sys.executable).parent

CHECKS = {
    "format": [str(BIN / "ruff"), "format", "--check", *CODE],
    "lint": [str(BIN / "ruff"), "check", *CODE],
    "types": [sys.executable, "-m", "mypy"],
    "layers": [str(BIN / "lint-imports"), "--no-cache"],
}


def main() -> int:
    """Run all checks, not only up to the first that fails.

    Returns:
        The exit status: 0 if all passed.

    """
    failed = []
    for name, command in CHECKS.items():
        print(f"-- {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
