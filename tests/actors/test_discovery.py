from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.actors.builders import instance, service, worker
from tests.helpers import eventually
from tucano.actors.discovery import Discovery
from tucano.actors.kernel import Child, Refused, System
from tucano.actors.messages.discovery import Changed, Delete, Entries, Follow, Happened, Put, Range, Record, Watch
from tucano.testing import Probe

Start = Callable[..., System]


def record(path: Path) -> Child:
    return Child("discovery", Discovery, {"path": path / "record.sqlite"})


def test_what_is_put_is_found_and_survives_a_restart(node: Start, tmp_path: Path) -> None:
    here = node(record(tmp_path))
    ref = here.ref("discovery")
    ref.ask(Put("service/hello", service=service()), timeout=5)
    ref.ask(Put("instance/a", instance=instance("a")), timeout=5)
    ref.ask(Put("worker/w", worker=worker("w")), timeout=5)
    ref.ask(Delete("worker/w"), timeout=5)
    here.stop(5)
    again = node(record(tmp_path)).ref("discovery").ask(Range(""), timeout=5)
    assert [entry.key for entry in again.entries] == ["instance/a", "service/hello"]
    assert again.entries[1].service == service()


def test_a_put_that_expects_another_revision_is_refused(node: Start, tmp_path: Path) -> None:
    ref = node(record(tmp_path)).ref("discovery")
    first = ref.ask(Put("service/hello", service=service(), expect=0), timeout=5)
    ref.ask(Put("service/hello", service=service(2), expect=first), timeout=5)
    for stale in (0, first):
        with pytest.raises(Refused) as refused:
            ref.ask(Put("service/hello", service=service(3), expect=stale), timeout=5)
        assert refused.value.code == "conflict"
    assert ref.ask(Range("service/"), timeout=5).entries[0].service == service(2)


def test_watchers_hear_of_each_change_below_their_prefixes_with_no_gap(node: Start, tmp_path: Path) -> None:
    probe = Probe()
    here = node(record(tmp_path), probe=probe)
    ref = here.ref("discovery")
    ref.ask(Put("service/hello", service=service()), timeout=5)
    start = ref.ask(Watch(here.ref("probe"), ("instance/",)), timeout=5)
    assert start == Entries(1, ())
    for number in range(5):
        ref.ask(Put(f"instance/{number}", instance=instance(str(number))), timeout=5)
        ref.ask(Put("service/hello", service=service(number)), timeout=5)
    ref.ask(Delete("instance/3"), timeout=5)
    news = eventually(lambda: len(probe.all(Changed)) == 6 and probe.all(Changed))
    seen = start.revision
    for one in news:
        assert one.previous == seen
        seen = one.revision
    assert news[-1].entries[0].key == "instance/3"
    assert news[-1].entries[0].instance is None


def test_events_are_numbered_kept_and_followed(node: Start, tmp_path: Path) -> None:
    probe = Probe()
    here = node(record(tmp_path), probe=probe)
    for number in range(5):
        here.ref("discovery").tell(Record("kind", "hello", str(number)))
    last = here.ref("discovery").ask(Follow(-2, here.ref("probe")), timeout=5)
    assert [(event.seq, event.text) for event in last.events] == [(4, "3"), (5, "4")]
    here.ref("discovery").tell(Record("kind", "hello", "new"))
    assert probe.wait_for(Happened).events[0].seq == 6
    here.stop(5)
    again = node(record(tmp_path)).ref("discovery").ask(Follow(3), timeout=5)
    assert [event.text for event in again.events] == ["3", "4", "new"]


def test_no_number_of_an_event_is_given_twice_though_a_crash_lost_events(node: Start, tmp_path: Path) -> None:
    given = []
    for text in ("kept", "told, and lost", "told, and lost", "new"):
        here = node(record(tmp_path))
        here.ref("discovery").tell(Record("kind", "who", text))
        given.append(here.ref("discovery").ask(Follow(-1), timeout=5).events[0].seq)
        found = here.ref("discovery").ask(Follow(given[-1] - 1), timeout=5).events
        assert [event.text for event in found] == [text]
        here.stop(5)
        with closing(sqlite3.connect(tmp_path / "record.sqlite", isolation_level=None)) as database:
            database.execute("DELETE FROM event WHERE seq > 1")
    assert given == sorted(set(given))


def test_an_acknowledged_service_survives_kill_minus_9(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from tests.actors.builders import service
from tests.actors.test_discovery import record
from tucano.actors.kernel import System
from tucano.actors.messages.discovery import Put
here = System("controller"); here.run([record(Path({str(tmp_path)!r}))])
for n in range(20):
    here.ref("discovery").ask(Put("service/hello", service=service(n)), timeout=5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    here = System("controller")
    here.run([record(tmp_path)])
    found = here.ref("discovery").ask(Range("service/"), timeout=5)
    assert here.stop(5)
    assert found.entries[0].service == service(19)


def test_a_service_that_cannot_be_written_is_refused_and_the_old_one_stays(node: Start, tmp_path: Path) -> None:
    here = node(record(tmp_path))
    ref = here.ref("discovery")
    ref.ask(Put("service/hello", service=service()), timeout=5)
    other = sqlite3.connect(tmp_path / "record.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")  # as a full disk would: no write goes through
    with pytest.raises(Refused) as refused:
        ref.ask(Put("service/hello", service=service(2)), timeout=30)
    assert refused.value.code == "storage"
    other.execute("ROLLBACK")
    other.close()
    assert ref.ask(Range("service/"), timeout=5).entries[0].service == service()
    ref.ask(Put("service/hello", service=service(3)), timeout=5)
