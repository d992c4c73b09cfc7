from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.actors import worker_kit
from tests.actors.worker_kit import SERVER, Worker, get
from tests.helpers import eventually
from tucano.actors.disk.records import Records
from tucano.actors.kernel import Refused, StopChild
from tucano.actors.messages import builder, collector, supervisor, worker_mgr
from tucano.actors.proc.process import find, present


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with worker_kit.worker(tmp_path / "home", tmp_path / "shelf") as made:
        yield made


def gone(pid: int) -> bool:
    return find(pid) is None


def test_it_says_hello_until_it_is_answered_and_again_to_a_new_controller(worker: Worker) -> None:
    hello = worker.said(worker_mgr.Hello)[0]
    assert (hello.node, hello.pid, hello.address) == ("w1", os.getpid(), "tcp://x:1")
    assert hello.cpus >= 1
    assert hello.memory > 1 << 20
    worker.run("hello-1")
    worker.until("hello-1", "ready")
    worker.deaf.set()
    worker.system.ref("worker_mgr").tell("crash")
    eventually(lambda: worker.system.ref("worker_mgr").is_alive())
    before = len(worker.said(worker_mgr.Hello))
    worker.deaf.clear()
    eventually(lambda: len(worker.said(worker_mgr.Hello)) > before, "it says hello again")
    assert [(i.id, i.state) for i in worker.said(worker_mgr.Hello)[-1].instances] == [("hello-1", "ready")]


def test_it_reports_each_state_and_repeats_all_at_each_beat(worker: Worker) -> None:
    worker.run("hello-1", build="echo built > built")
    ready = worker.until("hello-1", "ready")
    states = [report.state for report in worker.reports("hello-1")]
    assert states[0] == "building"
    assert states[-2:] == ["starting", "ready"]
    assert (ready.host, ready.node, ready.service, ready.revision) == ("127.0.0.1", "w1", "hello", 1)
    assert ready.served
    assert get(ready) == "hello"
    eventually(
        lambda: any(ready in inventory.instances for inventory in worker.said(supervisor.Inventory)), "an inventory"
    )
    assert worker.ask(collector.Measure(), "collector").instances[0].id == "hello-1"


def test_run_of_a_known_instance_is_harmless(worker: Worker) -> None:
    order = worker.run("hello-1")
    pid = worker.until("hello-1", "ready").pid
    worker.ask(order)
    assert worker.log("hello-1") == "serving\n"
    assert worker.last("hello-1").pid == pid


def test_a_bad_id_is_refused(worker: Worker) -> None:
    order = worker.order("hello-1")
    with pytest.raises(Refused) as refused:
        worker.ask(supervisor.Run("../../etc", order.spec, 1, order.artifact, order.size))
    assert refused.value.code == "bad_id"


def test_an_order_that_a_full_disk_has_no_room_for_is_reported_with_why_and_taken_when_there_is_room(
    worker: Worker,
) -> None:
    order = worker.order("hello-1")
    instances = worker.home / "instances"
    (instances / "hello-1.partial").symlink_to("/dev/full")
    with pytest.raises(Refused, match="no room on the disk of w1: make some in") as refused:
        worker.ask(order)
    assert refused.value.code == "no_room"
    said = worker.until("hello-1", "pending")
    assert (said.state, said.detail) == ("pending", f"no room on the disk of w1: make some in {worker.home}")
    assert not list(instances.iterdir()), "what could not be written is not left half written"
    worker.ask(order)
    assert get(worker.until("hello-1", "ready")) == "hello"


def test_stop_ends_the_process_and_forgets_the_instance(worker: Worker) -> None:
    worker.run("hello-1")
    ready = worker.until("hello-1", "ready")
    worker.ask(supervisor.Stop("hello-1"))
    worker.until("hello-1", "stopped")
    assert [report.state for report in worker.reports("hello-1")][-2:] == ["stopping", "stopped"]
    assert gone(ready.pid)
    eventually(lambda: not list((worker.home / "builds").glob("[!.]*")), "its build is deleted")
    assert not list((worker.home / "instances").iterdir())
    assert not list((worker.home / "logs").iterdir())
    with pytest.raises(Refused):
        worker.log("hello-1")
    worker.ask(supervisor.Stop("hello-1"))


def test_stop_of_one_leaves_the_build_of_the_other(worker: Worker) -> None:
    worker.run("hello-1")
    worker.until("hello-1", "ready")
    worker.run("hello-2")
    second = worker.until("hello-2", "ready")
    worker.ask(supervisor.Stop("hello-1"))
    worker.until("hello-1", "stopped")
    os.kill(second.pid, signal.SIGKILL)
    eventually(lambda: worker.last("hello-2").restarts == 1 and worker.last("hello-2").state == "ready")


def test_stop_while_building_kills_the_build(worker: Worker) -> None:
    worker.run("hello-1", build="echo $$ > pid; sleep 600")
    eventually(lambda: any(path.read_text() for path in (worker.home / "builds").glob("*/pid")))
    pid = int(next((worker.home / "builds").glob("*/pid")).read_text())
    worker.ask(supervisor.Stop("hello-1"))
    worker.until("hello-1", "stopped")
    eventually(lambda: gone(pid), "the build is killed")
    worker.run("hello-2", build="true")
    worker.until("hello-2", "ready")


def test_stop_all_answers_when_none_is_left(worker: Worker) -> None:
    worker.run("hello-1")
    worker.run("hello-2")
    worker.run("hello-3", build="sleep 600")
    worker.run("broken-4", build="exit 3")
    pids = [worker.until(name, "ready").pid for name in ("hello-1", "hello-2")]
    worker.until("broken-4", "failed")
    assert worker.ask(supervisor.StopAll()) == 4
    assert all(gone(pid) for pid in pids)
    assert worker.ask(supervisor.StopAll()) == 0


def test_a_failed_build_is_a_failed_instance_whose_log_can_be_read_until_it_is_stopped(worker: Worker) -> None:
    worker.run("broken-1", build="echo first; echo 'no such package' >&2; exit 7")
    failed = worker.until("broken-1", "failed")
    assert "the build of broken failed on w1: exited with status 7" in failed.detail
    assert "no such package" in failed.detail
    assert not failed.served
    assert worker.log("broken-1", build=True) == "first\nno such package\n"
    worker.ask(supervisor.Stop("broken-1"))
    worker.until("broken-1", "stopped")
    with pytest.raises(Refused):
        worker.log("broken-1", build=True)


def test_logs_are_read_in_pieces(worker: Worker) -> None:
    worker.run("hello-1", script="echo one; echo two; exec python3 app.py")
    worker.until("hello-1", "ready")
    first = worker.ask(supervisor.ReadLog("hello-1", offset=0, limit=4))
    assert (first.data, first.next) == (b"one\n", 4)
    second = worker.ask(supervisor.ReadLog("hello-1", offset=first.next))
    assert second.data == b"two\nserving\n"
    assert worker.ask(supervisor.ReadLog("hello-1", offset=second.next)).data == b""
    assert worker.ask(supervisor.ReadLog("hello-1", offset=-8)).data == b"serving\n"


def test_a_crash_of_the_supervisor_is_not_noticed_by_services(worker: Worker) -> None:
    worker.run("hello-1")
    ready = worker.until("hello-1", "ready")
    hellos = len(worker.said(worker_mgr.Hello))
    worker.system.ref("supervisor").tell(supervisor.RunnerReported(None))  # type: ignore[arg-type]
    eventually(lambda: len(worker.said(worker_mgr.Hello)) > hellos, "the next incarnation says hello")
    assert present_as(ready.pid)
    os.kill(ready.pid, signal.SIGKILL)
    eventually(lambda: worker.last("hello-1").restarts == 1 and worker.last("hello-1").state == "ready")


def present_as(pid: int) -> bool:
    process = find(pid)
    return process is not None and present(process)


def test_a_stopped_worker_leaves_its_services_and_the_next_adopts_them(tmp_path: Path) -> None:
    home, shelf = tmp_path / "home", tmp_path / "shelf"
    with worker_kit.worker(home, shelf, leave=True) as first:
        first.run("hello-1")
        before = first.until("hello-1", "ready")
    assert get(before) == "hello"
    with worker_kit.worker(home, shelf) as second:
        assert [i.id for i in second.said(worker_mgr.Hello)[0].instances] == ["hello-1"]
        eventually(lambda: second.system.ref("runner.hello-1").is_alive())
        os.kill(before.pid, signal.SIGKILL)
        after = second.until("hello-1", "ready")
        eventually(lambda: second.last("hello-1").state == "ready" and second.last("hello-1").restarts == 1)
        after = second.last("hello-1")
        assert (after.port, after.pid != before.pid) == (before.port, True)


KILLED = """
import sys
from pathlib import Path
from tests.actors import worker_kit
worker = worker_kit.Worker(Path(sys.argv[1]), Path(sys.argv[2])).start()
for name in sys.argv[3:]:
    worker.run(name)
for name in sys.argv[3:]:
    worker.until(name, "ready")
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def killed_worker(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A worker process with the instances hello-1 and hello-2, killed with -9."""
    home, shelf = tmp_path / "home", tmp_path / "shelf"
    program = [sys.executable, "-c", KILLED, str(home), str(shelf), "hello-1", "hello-2"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.kill()
    yield home, shelf
    for pid in worker_kit.strays(home):
        os.kill(pid, signal.SIGKILL)


def test_after_kill_9_of_the_worker_its_services_go_on_and_are_adopted(killed_worker: tuple[Path, Path]) -> None:
    home, shelf = killed_worker
    running = set(worker_kit.strays(home))
    assert len(running) == 2
    with worker_kit.worker(home, shelf) as worker:
        hello = worker.said(worker_mgr.Hello)[0]
        assert {i.pid for i in hello.instances} == running
        assert {i.state for i in hello.instances} == {"ready"}
        eventually(lambda: worker.system.ref("runner.hello-1").is_alive())
        assert [get(instance) for instance in hello.instances] == ["hello", "hello"]
        first = hello.instances[0]
        eventually(lambda: len(worker.ask(collector.Measure(), "collector").instances) == 2)
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: worker.reports(first.id) and worker.last(first.id).state == "ready", "it is back")
        back = worker.last(first.id)
        assert (back.restarts, back.port) == (1, first.port)


def test_services_are_adopted_in_a_home_that_was_moved_and_not_in_a_copy(killed_worker: tuple[Path, Path]) -> None:
    home, shelf = killed_worker
    running = set(worker_kit.strays(home))
    copy = shutil.copytree(home, home.parent / "copy")
    with worker_kit.worker(copy, shelf) as worker:
        assert worker.said(worker_mgr.Hello)[0].instances == ()
    assert set(worker_kit.strays(home)) == running
    with worker_kit.worker(home.rename(home.parent / "moved"), shelf) as worker:
        assert {i.pid for i in worker.said(worker_mgr.Hello)[0].instances} == running


def test_what_died_while_no_worker_was_there_is_started_again(killed_worker: tuple[Path, Path]) -> None:
    home, shelf = killed_worker
    for pid in worker_kit.strays(home):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not worker_kit.strays(home))
    with worker_kit.worker(home, shelf) as worker:
        for name in ("hello-1", "hello-2"):
            assert worker.until(name, "ready").restarts == 1


def test_a_process_that_its_worker_could_not_note_any_more_is_adopted_too(killed_worker: tuple[Path, Path]) -> None:
    home, shelf = killed_worker
    records = Records(home)
    record = records.read("hello-1")
    assert record is not None
    pid = record.instance.pid
    starting = msgspec.structs.replace(record.instance, state="starting", pid=0)
    records.write(msgspec.structs.replace(record, instance=starting, process=None))
    with worker_kit.worker(home, shelf) as worker:
        assert worker.until("hello-1", "ready").pid == pid
        assert worker.last("hello-1").restarts == 0


def test_a_damaged_record_is_set_aside_and_its_process_ended(killed_worker: tuple[Path, Path]) -> None:
    home, shelf = killed_worker
    (home / "instances" / "hello-1.json").write_text('{"order": ')
    with worker_kit.worker(home, shelf) as worker:
        assert [i.id for i in worker.said(worker_mgr.Hello)[0].instances] == ["hello-2"]
        eventually(lambda: len(worker_kit.strays(home)) == 1, "the process that nobody knows any more is ended")
        assert (home / "instances" / "hello-1.corrupt").exists()
        worker.run("hello-1")
        worker.until("hello-1", "ready")


@pytest.mark.parametrize("noted", [True, False])
def test_a_build_that_was_under_way_is_begun_anew_after_kill_9(tmp_path: Path, noted: bool) -> None:
    home, shelf = tmp_path / "home", tmp_path / "shelf"
    program = KILLED.replace(
        "worker.run(name)", "worker.run(name, build='echo go >> ../../go; test -e ../../ok || sleep 600')"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(home), str(shelf), "hello-1"]) as process:
        eventually(lambda: (home / "go").exists() and list((home / "builds").glob("*.pid")))
        process.kill()
    if not noted:  # it may be killed a moment before
        next((home / "builds").glob("*.pid")).unlink()
    (home / "ok").touch()
    with worker_kit.worker(home, shelf) as worker:
        worker.until("hello-1", "ready")
        assert (home / "go").read_text() == "go\ngo\n"
        assert len(worker_kit.strays(home)) == 1, "the build of the killed worker has ended"


def test_records_are_private_and_hold_what_a_successor_needs(worker: Worker) -> None:
    worker.run("hello-1", {"app.py": SERVER}, env={"GREETING": "hi"})
    ready = worker.until("hello-1", "ready")
    assert get(ready) == "hi"
    (path,) = (worker.home / "instances").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (worker.home / "instances").stat().st_mode & 0o777 == 0o700


def test_the_builder_is_told_what_may_go(worker: Worker) -> None:
    worker.run("hello-1", build="true")
    worker.until("hello-1", "ready")
    order = worker.order("hello-2", build="true")
    made = worker.ask(builder.Make("hello", order.artifact, order.size, order.spec.build), "builder")
    assert made.cached


def test_a_runner_that_is_lost_comes_back_and_goes_on_with_its_process(worker: Worker) -> None:
    worker.run("hello-1")
    ready = worker.until("hello-1", "ready")
    worker.ask(StopChild("runner.hello-1"), "runners")
    eventually(lambda: not worker.system.ref("runner.hello-1").is_alive())
    eventually(lambda: worker.system.ref("runner.hello-1").is_alive())
    os.kill(ready.pid, signal.SIGKILL)
    eventually(lambda: worker.last("hello-1").restarts == 1 and worker.last("hello-1").state == "ready")


def test_an_instance_whose_build_is_gone_is_built_again(tmp_path: Path) -> None:
    home, shelf = tmp_path / "home", tmp_path / "shelf"
    with worker_kit.worker(home, shelf, leave=True) as first:
        first.run("hello-1", build="true")
        pid = first.until("hello-1", "ready").pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    shutil.rmtree(home / "builds")
    with worker_kit.worker(home, shelf) as second:
        assert second.said(worker_mgr.Hello)[0].instances[0].state == "building"
        assert get(second.until("hello-1", "ready")) == "hello"
