"""Values to text for people: tables and lines. Pure; colours are put on at the end, by the command line."""

from tucano.render.actors import ps
from tucano.render.cluster import event, instances, masked, nodes, services, show, status
from tucano.render.progress import changes, standing, step
from tucano.render.text import age, clean, first_line, indent, moment, plural, size, table

__all__ = [
    "age", "changes", "clean", "event", "first_line", "indent", "instances", "masked", "moment", "nodes", "plural",
    "ps", "services", "show", "size", "standing", "status", "step", "table",
]  # fmt: skip
