"""The actor kernel: Pykka with supervision, watches, timers, bounded mailboxes and refs that reach other nodes."""

from tucano.actors.kernel.actor import Actor
from tucano.actors.kernel.child import Child
from tucano.actors.kernel.clock import Clock, SystemClock
from tucano.actors.kernel.down import Down
from tucano.actors.kernel.errors import Refused, TimedOut
from tucano.actors.kernel.events import Lifecycle
from tucano.actors.kernel.info import ActorInfo, Wait
from tucano.actors.kernel.message import Message, Note
from tucano.actors.kernel.ref import Ref
from tucano.actors.kernel.reply import Reply
from tucano.actors.kernel.restart import Law
from tucano.actors.kernel.runtime import Runtime, Threads
from tucano.actors.kernel.system import System
from tucano.actors.kernel.timers import Timer
from tucano.actors.kernel.trace import Span, TraceInfo
from tucano.actors.kernel.tree import StartChild, StopChild, Tree

__all__ = [
    "Actor", "ActorInfo", "Child", "Clock", "Down", "Law", "Lifecycle", "Message", "Note", "Ref", "Refused", "Reply",
    "Runtime", "Span", "StartChild", "StopChild", "System", "SystemClock", "Threads", "TimedOut", "Timer", "TraceInfo",
    "Tree", "Wait",
]  # fmt: skip
