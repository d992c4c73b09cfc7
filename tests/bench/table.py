"""A measured figure beside the contender's, and whether it reaches its target."""

from typing import Literal, NamedTuple


class Row(NamedTuple):
    """One figure.

    Attributes:
        what: What was measured.
        tucano: Our figure.
        against: The contender's name; empty if there is none.
        theirs: Its figure in the same run; None if it is not installed.
        target: What `ratio` must reach.
        better: Whether a higher or a lower figure is the better one.
        unit: Of both figures.
    """

    what: str
    tucano: float
    against: str
    theirs: float | None
    target: float
    better: Literal["higher", "lower"]
    unit: str

    @property
    def ratio(self) -> float | None:
        """Our figure by theirs; None without theirs."""
        return self.tucano / self.theirs if self.theirs else None

    @property
    def met(self) -> bool | None:
        """The target is reached; None without a contender."""
        if self.ratio is None:
            return None
        return self.ratio >= self.target if self.better == "higher" else self.ratio <= self.target


def lone(what: str, figure: float, unit: str) -> Row:
    """A figure that has no contender and no target: for information."""
    return Row(what, figure, "", None, 0.0, "higher", unit)
