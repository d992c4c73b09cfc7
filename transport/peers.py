"""Who is there, and what a frame from a peer means. Pure: every link asks here, and does what it is told.

A peer is down until it is heard. Its first word brings it up, and so does the first word of a higher incarnation, which
replaces the one before: that one is down from then on, and its frames are refused. A peer that says goodbye, or is
silent for longer than its `Detector` bears, is down; who was only silent may speak again, who has left may not.

A name belongs to who has it and lives. An incarnation that comes later takes over at once if it receives at the same
address (where the one before can receive no more: it has restarted), else when the one before has been silent for
`CLAIM`; until then its frames are refused, and it is told so.

A network may keep what was sent by a connection until a later one has been made in its place: once that one is heard,
the one before is not.

Heartbeats and goodbyes travel on the control lane, and only that lane's rhythm is judged; a first word may come on any.
"""

from __future__ import annotations

import msgspec

from tucano.transport.detector import Detector
from tucano.transport.link import BEAT, CONTROL, LANES, Kind, Letter
from tucano.transport.wire import BadFrame, Caller, Peer, read_routing_id

LATE = 4 * BEAT
"""Seconds between two ticks that mean that we were suspended ourselves, and could have heard nobody."""

CLAIM = 4 * BEAT
"""Seconds of silence after which a name may be had by a later incarnation at another address."""

MOST = 4_000
"""Peers that may be up at once: each costs a socket for each lane, of which a context has 16,384."""

_IDENTITIES = 10_000  # routing ids remembered; strangers cannot fill the memory
_BYE = int(Kind.BYE)
_TAKEN = int(Kind.TAKEN)
_OURS = (int(Kind.BEAT), _BYE, _TAKEN)  # said by links to links, not by actors


class NameTaken(BadFrame):
    """From a node whose name another one has, who lives. It is to be told why: the text.

    Attributes:
        peer: who it is.

    """

    def __init__(self, peer: Peer, holder: Peer) -> None:
        super().__init__(
            f"the name {peer.node} is taken: a node that lives has it, at {holder.address}; the one at {peer.address} "
            "is not heard"
        )
        self.peer = peer


class Heard(msgspec.Struct, frozen=True):
    """What a frame asks of the node that heard it, to be done in this order: down, up, letters, left.

    Attributes:
        letters: what is for the actors.
        went_down: why the incarnation before is down; empty if there was none.
        came_up: these are the peer's first words: connect back, and say that it is there.
        left: why the peer is down after this frame; empty if it is not.

    """

    letters: list[Letter]
    went_down: str = ""
    came_up: bool = False
    left: str = ""


class _Present:
    """A peer that is up, or silent: its incarnation, its heartbeat, and its last connection on each lane."""

    __slots__ = ("connections", "detector", "peer")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.detector = Detector()
        self.connections = dict.fromkeys(LANES, 0)


class Peers:
    """The peers of one node. Used by one thread at a time, but `in` by any.

    Args:
        me: the node itself.
        now: monotonic seconds.

    """

    def __init__(self, me: Peer, now: float) -> None:
        self._me = me
        self._ticked = now
        self._present: dict[str, _Present] = {}
        self._left: dict[str, Peer] = {}
        self._silent: dict[str, _Present] = {}
        self._identities: dict[bytes, Caller] = {}

    def __contains__(self, node: str) -> bool:
        """Whether a node is up."""
        return node in self._present

    def who(self, identity: bytes) -> Caller:
        """Whose frame it is, and by which connection it came, by its routing id.

        Raises:
            BadFrame: a stranger's, of another cluster, or in our own name.

        """
        known = self._identities.get(identity)
        if known is None:
            known = read_routing_id(identity)
            peer = known.peer
            if peer.node == self._me.node:
                raise BadFrame(f"from a stranger in our own name: {identity!r}")
            if peer.cluster != self._me.cluster:
                raise BadFrame(f"from {peer.node} of another cluster ({peer.cluster})")
            if len(self._identities) >= _IDENTITIES:
                self._identities.clear()
            self._identities[identity] = known
        return known

    def taken(self, letters: list[Letter]) -> str:
        """Why the sender of a frame does not hear us: another node has our name; empty if it does not say so."""
        for letter in letters:
            if letter.kind == _TAKEN and letter.id == self._me.incarnation:
                return letter.tag or "another node has our name"
        return ""

    def heard(self, caller: Caller, letters: list[Letter], now: float) -> Heard:
        """Take note of a frame from a peer that `who` has named.

        Raises:
            NameTaken: another one that lives has its name.
            BadFrame: from an incarnation or by a connection that has been replaced, or one that has left; not on the
                control lane, from one that has been silent there.

        """
        peer, lane, connection = caller
        present = self._present.get(peer.node)
        went_down, came_up = "", False
        if present is None or present.peer != peer:
            went_down = self._admit(caller, present, now)
            present, came_up = self._present[peer.node], True
        if connection != present.connections[lane]:
            if connection < present.connections[lane]:
                raise BadFrame(f"by a connection of {peer.node} that has been replaced")
            present.connections[lane] = connection
        if lane != CONTROL:
            if came_up:
                present.detector.forgive(now)  # the wait for its first beat begins
            return Heard([letter for letter in letters if letter.kind not in _OURS], went_down, came_up)
        present.detector.heard(now)
        said = [letter for letter in letters if letter.kind not in _OURS]
        if len(said) != len(letters):
            for at, letter in enumerate(letters):
                if letter.kind == _BYE:  # the last word, whatever a thread of the peer's may have added
                    del self._present[peer.node]
                    self._left[peer.node] = peer
                    if len(self._left) > _IDENTITIES:
                        del self._left[next(iter(self._left))]
                    said = [earlier for earlier in letters[:at] if earlier.kind not in _OURS]
                    return Heard(said, went_down, came_up, "left")
        return Heard(said, went_down, came_up)

    def forget(self, node: str) -> None:
        """Take a peer as never heard: what it said could not be acted on."""
        self._present.pop(node, None)

    def tick(self, now: float) -> list[tuple[str, str]]:
        """Look for the silent, every `BEAT` seconds; if this look is late, give the others time to be heard.

        Returns:
            Nodes that are down from now on, and why.

        """
        late, self._ticked = now - self._ticked > LATE, now
        silent = []
        for node, present in list(self._present.items()):
            if late:
                present.detector.forgive(now)
            elif present.detector.overdue(now):
                del self._present[node]
                self._silent[node] = present
                if len(self._silent) > _IDENTITIES:
                    del self._silent[next(iter(self._silent))]
                silent.append((node, f"silent for {present.detector.silent_for(now):.1f} s"))
        return silent

    def _admit(self, caller: Caller, present: _Present | None, now: float) -> str:
        """Bring an incarnation up; returns why the one before is down, if there was one."""
        peer, lane, connection = caller
        silent = self._silent.get(peer.node)
        if silent is not None and silent.peer == peer:
            if lane != CONTROL:
                raise BadFrame(f"from {peer.node}, which is silent on the control lane")
            if connection < silent.connections[lane]:
                raise BadFrame(f"by a connection of {peer.node} that has been replaced")
        else:
            silent = None
        if present is not None:
            holder = present.peer
            if holder.address == peer.address:
                if holder.incarnation > peer.incarnation:
                    raise BadFrame(f"from an incarnation of {peer.node} that has been replaced")
            elif holder.incarnation >= peer.incarnation or present.detector.silent_for(now) < CLAIM:
                raise NameTaken(peer, holder)
        elif len(self._present) >= MOST:
            raise BadFrame(f"from {peer.node}, but {MOST} nodes are here already, the most that there may be")
        if self._left.get(peer.node) == peer:
            raise BadFrame(f"from an incarnation of {peer.node} that has said goodbye")
        self._left.pop(peer.node, None)
        self._silent.pop(peer.node, None)
        self._present[peer.node] = fresh = _Present(peer)
        if silent is not None:
            fresh.connections = silent.connections
        return "" if present is None else "replaced by a new incarnation"
