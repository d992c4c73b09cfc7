"""Values to text for people: tables and lines. Pure; colours are put on at the end, by the command line."""

from tucano.render.actors import crashes, lifecycle, ps
from tucano.render.cluster import event, instances, masked, nodes, services, show, status
from tucano.render.conversation import conversation, conversations
from tucano.render.metrics import metrics
from tucano.render.progress import changes, standing, step
from tucano.render.sequence import sequence
from tucano.render.text import age, clean, duration, first_line, indent, moment, plural, short, size, table
from tucano.render.top import top

__all__ = [
    "age", "changes", "clean", "conversation", "conversations", "crashes", "duration", "event", "first_line", "indent",
    "instances", "lifecycle", "masked", "metrics", "moment", "nodes", "plural", "ps", "sequence", "services", "short",
    "show", "size", "standing", "status", "step", "table", "top",
]  # fmt: skip
