from __future__ import annotations

import pytest

from tucano import render
from tucano.client.answers import (
    Event,
    InstanceInfo,
    NodeInfo,
    Progress,
    ServiceDetail,
    ServiceInfo,
    StatusInfo,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0.9, "0s"), (12, "12s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (90_000, "1d")],
)
def test_an_age_is_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert render.age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949, "9.9 kB"), (9_960, "10 kB"), (12_400_000, "12 MB"),
        (999_600, "1.0 MB"), (1_500_000_000, "1.5 GB"), (2e13, "20.0 TB"),
    ],
)  # fmt: skip
def test_bytes_are_short_and_never_a_thousand_of_a_unit(count: float, text: str) -> None:
    assert render.size(count) == text


def test_numbers_stand_to_the_right_and_no_line_ends_in_blanks() -> None:
    assert render.table(("NAME", ">N", "WORD"), [("a", 1, "x"), ("long", 100, "")]) == (
        "NAME    N  WORD\n"
        "a       1  x\n"
        "long  100"
    )  # fmt: skip


def test_a_text_cannot_play_with_the_terminal() -> None:
    assert render.clean("a\033[2Jb\r\tc\nd\x9b") == "a?[2Jb?\tc\nd?"
    assert "\033" not in render.table(("A",), [("\033[31m",)])
    assert "\033" not in render.event(Event(1, 0.0, "kind", "subject", "\033[31m"))


def test_services_stand_in_a_table_with_the_first_line_of_what_went_wrong() -> None:
    found = [
        ServiceInfo(name="hello", replicas=3, ready=3, state="done", revision=12),
        ServiceInfo(name="shop", replicas=2, state="failed", revision=1, detail="\nthe build failed\nmore"),
        ServiceInfo(name="db", replicas=1, state="rolling", revision=1, protocol="tcp", port=5432),
    ]
    assert render.services(found) == (
        "NAME   USERS     READY  STATE    REVISION  DETAIL\n"
        "hello  http        3/3  done           12\n"
        "shop   http        0/2  failed          1  the build failed\n"
        "db     tcp 5432    0/1  rolling         1"
    )


def test_no_services_says_how_to_get_one() -> None:
    assert "tucano deploy DIR" in render.services([])


def detail(**fields: object) -> ServiceDetail:
    known: dict[str, object] = {
        "name": "hello", "replicas": 1, "ready": 1, "state": "done", "revision": 3, "last_revision": 3,
        "artifact": "f" * 64, "created": 40.0,
        "spec": {"name": "hello", "run": {"script": "python app.py\nmore", "env": {"TOKEN": "s3cret"}}, "build": {}},
        "instances": [
            InstanceInfo(id="hello-a1", node="worker-1", pid=7, port=20001, state="ready", revision=3, since=88.0)
        ],
    }  # fmt: skip
    return ServiceDetail(**{**known, **fields})  # type: ignore[arg-type]


def test_a_service_is_shown_with_its_instances_and_without_its_secrets() -> None:
    text = render.show(detail(), now=100.0)
    assert "s3cret" not in text
    assert "env       TOKEN" in text
    assert "revision  3, 1m old" in text
    assert "run       python app.py" in text
    assert text.splitlines()[-1].split() == ["hello-a1", "worker-1", "7", "20001", "ready", "12s", "0", "3"]


def test_a_revision_that_was_taken_back_is_named_with_all_that_is_known() -> None:
    text = render.show(detail(state="failed", last_revision=4, detail="it exited\n  with 1"), now=100.0)
    assert "revision 4 failed and was taken back" in text
    assert "  it exited\n    with 1" in text


def test_a_first_revision_that_failed_was_not_taken_back_to_anything() -> None:
    assert "taken back" not in render.show(detail(state="failed", detail="it exited"), now=100.0)


def test_secrets_are_masked_in_what_programs_are_told() -> None:
    spec = detail().spec
    assert render.masked(spec)["run"] == {"script": "python app.py\nmore", "env": {"TOKEN": "***"}}
    assert spec["run"]["env"] == {"TOKEN": "s3cret"}
    assert render.masked({}) == {}


def test_nodes_and_status_leave_out_what_is_not_known() -> None:
    nodes = [
        NodeInfo("controller", "controller", "ready", 11, 40.0),
        NodeInfo("worker-1", "worker", "silent", 12, 90.0, 2, 8_000_000_000, 0.257, 1_500_000_000, 3),
    ]
    lines = render.nodes(nodes, now=100.0).splitlines()
    assert lines[1].split() == ["controller", "controller", "ready", "1m", "11", "-", "-", "-", "0"]
    assert lines[2].split() == ["worker-1", "worker", "silent", "10s", "12", "2", "26%", "1.5", "GB", "3"]
    text = render.status("/home", 5, StatusInfo(http_port=80, zmq_port=81, nodes=nodes), now=100.0)
    assert "the controller does not answer" in text
    assert "http://127.0.0.1:80\n" in text


def test_a_deployment_is_told_step_by_step_and_nothing_twice() -> None:
    old = InstanceInfo(id="old", node="worker-1", state="ready", revision=6)
    building = InstanceInfo(id="a", node="worker-1", state="building", revision=7)
    ready = InstanceInfo(id="a", node="worker-1", state="ready", revision=7)
    again = InstanceInfo(
        id="a", node="worker-1", state="starting", revision=7, restarts=1, detail="exited with status 1\nmore"
    )
    steps = [
        Progress("packed", 3_100, 4),
        Progress("upload", 0, 3_100),
        Progress("upload", 3_100, 3_100),
        Progress("accepted", 7, 2),
        *(Progress("rollout", 0, 1, detail(instances=[old, one])) for one in (building, building, again, ready)),
        Progress("rollout", 0, 1, detail(instances=[ready])),
    ]
    lines = [line for before, now in zip([None, *steps], steps, strict=False) for line in render.step(before, now)]
    assert lines == [
        "packed 4 files, 3.1 kB",
        "uploaded 3.1 kB",
        "revision 7 accepted, 2 replicas wanted",
        "a on worker-1: building",
        "a on worker-1: starting, restarted 1 time: exited with status 1",
        "a on worker-1: ready",
        "old on worker-1: gone",
    ]
    assert render.step(steps[0], steps[2]) == ["the cluster has these files already"]
    assert render.standing(steps[1]) == "uploading 0 B of 3.1 kB"


def test_why_no_worker_takes_an_instance_is_told_while_it_is_waited_for() -> None:
    pending = InstanceInfo(id="a", node="w1")
    full = InstanceInfo(id="a", node="w1", detail="no room")
    before, now, later = (Progress("rollout", 0, 1, detail(instances=[one])) for one in (pending, full, full))
    assert render.step(before, now) == ["a on w1: pending: no room"]
    assert render.step(now, later) == []
    assert render.standing(now) == "0 of 1 ready; a no room"
