from __future__ import annotations

import re
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tucano import render
from tucano.client.insight import Conversation, ConversationInfo, SpanInfo
from tucano.render.repeats import beats
from tucano.render.sequence import LIMIT, escape

TRACE = "5f0c" * 4


def span(number: int, parent: int | None = None, **more: Any) -> SpanInfo:
    known: dict[str, Any] = {
        "span": f"c.{number}", "parent": "" if parent is None else f"c.{parent}", "kind": "tell", "sender": "c/gateway",
        "to": "c/deployer", "what": "deployer.Deploy/1", "at": number / 1000, "begun": 1.0, "took": 0.00025,
        "outcome": "done",
    }  # fmt: skip
    return SpanInfo(**{**known, **more})


def talk(*spans: SpanInfo, unanswered: tuple[str, ...] = ()) -> Conversation:
    people = dict.fromkeys(who for one in spans for who in (one.sender, one.to) if who)
    return Conversation(TRACE, 0.0, 1.5, list(people), list(unanswered), list(spans))


def answer(number: int, ask: int, **more: Any) -> SpanInfo:
    back = {"kind": "answer", "sender": "c/deployer", "to": "c/gateway", "what": "deployer.Accepted/1"}
    return span(number, ask, **{**back, "answers": f"c.{ask}", **more})


# What repeats


def told(text: str, longest: int = 8) -> list[tuple[str, int]]:
    return [("".join(beat.once), beat.times) for beat in beats(text, str, longest)]


def test_what_repeats_is_one_beat_the_longest_stretch_first() -> None:
    assert told("xaaay") == [("x", 1), ("a", 3), ("y", 1)]
    assert told("xababab") == [("x", 1), ("ab", 3)]
    assert told("aabaabaab") == [("aab", 3)]
    assert told("aaaaaa") == [("a", 6)]
    assert told("aabab") == [(one, 1) for one in "aabab"]  # what comes twice is told twice
    assert told("ababab", 1) == [(one, 1) for one in "ababab"]
    assert told("") == []


@given(st.text("abc", max_size=60), st.integers(1, 8))
def test_beats_together_are_all_that_happened(text: str, longest: int) -> None:
    found = list(beats(text, str, longest))
    assert "".join("".join(beat.items) for beat in found) == text
    assert all("".join(beat.once) * beat.times == "".join(beat.items) for beat in found)


# The list


def test_conversations_stand_in_a_list_without_what_is_not_known() -> None:
    known = [ConversationInfo(TRACE, 0.0, "deployer.Deploy/1", 61, 0.047), ConversationInfo("0" * 16)]
    lines = render.conversations(known).splitlines()
    assert lines[0].split() == ["TRACE", "WHEN", "BEGAN", "WITH", "MESSAGES", "DURATION"]
    assert lines[1].split()[0] == TRACE
    assert lines[1].split()[3:] == ["deployer.Deploy", "61", "47ms"]
    assert lines[2].split()[3:] == ["0", "-"]
    assert "no conversations are remembered" in render.conversations([])


# The tree


def body(found: Conversation) -> list[list[str]]:
    return [re.split(r"   *", line.strip()) for line in render.conversation(found).splitlines()[3:]]


def test_a_message_is_told_with_its_time_ends_type_and_end() -> None:
    found = talk(
        span(0, sender="", to="c/gateway", what="gateway.Received/1"),
        span(1, 0, kind="ask"),
        span(2, 1, sender="c/deployer", to="worker-1/supervisor", what="supervisor.Run/1", begun=0.0, outcome=""),
        span(3, 2, kind="timer", sender="c/deployer", to="c/deployer", what="ReconcileDue", outcome="crashed", at=1.5),
        span(4, 3, kind="timer", to="c/gateway", what="runner.DeadlineDue/1", begun=0.0, outcome="", at=1.75),
        unanswered=("c.1",),
    )
    text = render.conversation(found)
    assert re.fullmatch(
        f"conversation {TRACE}, [-0-9]+ [0-9:]+: 5 messages between 3 actors, 1.5s; 1 ask without an answer",
        text.splitlines()[0],
    )
    assert body(found) == [
        ["0.0", "outside -> c/gateway", "tell", "gateway.Received", "0.2ms", "done"],
        ["1.0", "c/gateway -> deployer", "ask", "deployer.Deploy", "0.2ms", "no answer"],
        ["2.0", "c/deployer -> worker-1/supervisor", "tell", "supervisor.Run", "-", "-"],
        ["1500.0", "c/deployer", "timer", "ReconcileDue", "0.2ms", "crashed"],
        ["1750.0", "c/gateway", "timer", "runner.DeadlineDue", "-", "not due"],
    ]


def test_what_led_to_one_message_stands_above_it_and_branches_are_set_to_the_right() -> None:
    found = talk(
        span(0), span(1, 0), span(2, 1, what="a"), span(3, 1, what="b"), span(4, 2, what="c"), span(5, 2, what="d"),
        span(6, 3, what="e"),
    )  # fmt: skip
    lines = render.conversation(found).splitlines()[3:]
    assert [line[5:].split("c/gateway")[0] for line in lines] == ["", "", "├ ", "│ ├ ", "│ ", "", ""]
    assert [row[3][-1] for row in body(found)] == ["y", "y", "a", "c", "d", "b", "e"]


def test_what_nothing_known_led_to_begins_a_tree_of_its_own() -> None:
    assert "" in render.conversation(talk(span(0), span(1, 99), span(2, 1))).splitlines()[4:]


def test_a_conversation_that_goes_deep_stays_on_the_screen() -> None:
    deep = [span(0), *(span(n, 2 * ((n - 1) // 2), what=f"m.M{n}/1") for n in range(1, 1000))]
    turned = [
        msgspec.structs.replace(one, parent=one.parent and f"c.{max(0, int(one.parent[2:]) - 1)}") for one in deep
    ]
    for spans in (deep, turned):
        assert max(map(len, render.conversation(talk(*spans)).splitlines())) < 120


def test_what_repeats_is_shown_once_and_counted() -> None:
    ticks = [
        one
        for n in range(0, 40, 2)
        for one in (span(n, n - 1 if n else None, kind="timer", what="HealthDue"), span(n + 1, n))
    ]
    text = render.conversation(talk(*ticks))
    assert len(text.splitlines()) == 3 + 3
    assert "(these 2 lines 19 times more, the last at 39.0)" in text


# The diagram


def test_a_conversation_is_a_sequence_diagram() -> None:
    found = talk(
        span(0, sender="", to="c/gateway", what="gateway.Received/1"),
        span(1, 0, kind="ask"),
        span(2, 1, sender="c/deployer", to="worker-1/supervisor", what="supervisor.Run/1"),
        span(3, 2, kind="note", sender="worker-1/supervisor", to="worker-1/supervisor", what="supervisor.BuildDue/1"),
        answer(4, 1),
        span(5, 4, kind="ask", to="c/discovery", what="discovery.Put/1"),
        span(
            6, 5, kind="refusal", sender="c/discovery", to="c/gateway", what="Refused", answers="c.5", outcome="storage"
        ),
        span(7, 6, kind="ask", to="worker-1/node", what="node.Snapshot/1"),
        unanswered=("c.7",),
    )
    assert render.sequence(found).splitlines() == [
        "sequenceDiagram",
        "    actor p0 as outside",
        "    box transparent c",
        "        participant p1 as c/gateway",
        "        participant p2 as c/deployer",
        "        participant p3 as c/discovery",
        "    end",
        "    box transparent worker-1",
        "        participant p4 as worker-1/supervisor",
        "        participant p5 as worker-1/node",
        "    end",
        "    p0->>p1: gateway.Received",
        "    p1->>+p2: deployer.Deploy",
        "    p2->>p4: supervisor.Run",
        "    Note over p4: supervisor.BuildDue",
        "    p2-->>-p1: deployer.Accepted",
        "    p1->>+p3: discovery.Put",
        "    p3--x-p1: Refused (storage)",
        "    p1->>p5: node.Snapshot (no answer)",
    ]


def diagram(*spans: SpanInfo) -> list[str]:
    lines = [line.strip() for line in render.sequence(talk(*spans)).splitlines()]
    return lines[lines.index("end") + 1 :]


def test_identical_messages_in_a_row_are_one_line() -> None:
    assert diagram(*(span(n) for n in range(5)), span(5, what="x")) == [
        "p0->>p1: deployer.Deploy (5 times)",
        "p0->>p1: x",
    ]


def test_messages_that_come_again_and_again_are_a_loop() -> None:
    beat = [one for n in range(0, 12, 3) for one in (span(n, kind="ask"), answer(n + 1, n), span(n + 2, what="x"))]
    assert diagram(*beat) == [
        "loop 4 times", "p0->>+p1: deployer.Deploy", "p1-->>-p0: deployer.Accepted", "p0->>p1: x", "end",
    ]  # fmt: skip


def test_a_receiver_is_active_only_between_an_ask_and_its_one_answer() -> None:
    twice = [span(0, kind="ask"), answer(1, 0, what="a"), answer(2, 0, what="b")]
    assert diagram(*twice) == ["p0->>+p1: deployer.Deploy", "p1-->>-p0: a", "p1-->>p0: b"]
    someone_else = [span(0, kind="ask"), answer(1, 0, sender="c/other")]
    assert diagram(*someone_else) == ["p0->>p1: deployer.Deploy", "p2-->>p0: deployer.Accepted"]


def test_a_long_conversation_is_cut_to_what_viewers_take() -> None:
    text = render.sequence(talk(*(span(n, what=f"m.M{n}/1", to=f"c/actor-{n % 700}") for n in range(2000))))
    assert len(text) <= LIMIT
    left_out = int(re.search(r"Note over p0: (\d+) more messages are left out\Z", text)[1])  # type: ignore[index]
    assert left_out + text.count("->>") == 2000


def test_any_name_is_only_text_in_a_diagram() -> None:
    assert escape("wrap:a;b#c\n%%{x}") == "wrap#58;a#59;b#35;c #37;#37;#123;x#125;"
    assert (escape(""), escape("\0\u2028")) == ("?", "?")
    lines = render.sequence(talk(span(0, sender="a;b/end", to="c/x\nend", what="->>p0: <b>;"))).splitlines()
    assert lines == [
        "sequenceDiagram", "    box transparent a#59;b", "        participant p0 as a#59;b/end", "    end",
        "    box transparent c", "        participant p1 as c/x end", "    end",
        "    p0->>p1: -#62;#62;p0#58; #60;b#62;#59;",
    ]  # fmt: skip


TEXT = r"(?:[^:;#\n]|#\d+;)+"
LINE = re.compile(
    rf"    actor p\d+ as {TEXT}|    box transparent {TEXT}|        participant p\d+ as {TEXT}|    end"
    rf"|    loop \d+ times|    p\d+(->>\+?|-->>-?|--x-?)p\d+: {TEXT}|    Note over p\d+: {TEXT}"
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["tell", "ask", "answer", "refusal", "note", "timer"]), st.text(max_size=9),
            st.text(max_size=9), st.text(max_size=9), st.integers(0, 9), st.text(max_size=5),
        ),
        min_size=1, max_size=30,
    )
)  # fmt: skip
def test_a_diagram_is_well_formed_whatever_was_said(said: list[tuple[str, str, str, str, int, str]]) -> None:
    spans = [
        span(number, kind=kind, sender=sender, to=to, what=what, answers=f"c.{ask}", outcome=outcome)
        for number, (kind, sender, to, what, ask, outcome) in enumerate(said)
    ]
    first, *lines = render.sequence(talk(*spans)).splitlines()
    assert first == "sequenceDiagram"
    active: dict[str, int] = {}
    for line in lines:
        assert LINE.fullmatch(line)
        if found := re.match(r"    (p\d+)(->>\+|-->>-|--x-)(p\d+):", line):
            who = found[3] if found[2] == "->>+" else found[1]
            active[who] = active.get(who, 0) + (1 if found[2] == "->>+" else -1)
            assert active[who] >= 0  # a viewer refuses to end what has not begun
    assert set(active.values()) <= {0}
