from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors import worker_kit
from tests.actors.worker_kit import SERVER, Worker, get
from tests.helpers import eventually
from tucano.actors.disk import logs
from tucano.actors.messages import runner, supervisor
from tucano.actors.messages.model import Health
from tucano.actors.proc.process import session
from tucano.actors.pure import lifecycle


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with worker_kit.worker(tmp_path / "home", tmp_path / "shelf") as made:
        yield made


def again(worker: Worker, identifier: str, restarts: int) -> None:
    eventually(
        lambda: (last := worker.last(identifier)).restarts == restarts and last.state == "ready",
        f"it is ready again: {worker.last(identifier)}",
    )


def test_a_killed_process_is_back_on_the_same_port_and_out_of_the_rotation_meanwhile(worker: Worker) -> None:
    worker.run("hello-1")
    before = worker.until("hello-1", "ready")
    os.kill(before.pid, signal.SIGKILL)
    again(worker, "hello-1", 1)
    after = worker.last("hello-1")
    assert after.pid != before.pid
    assert after.port == before.port
    assert get(after) == "hello"
    between = worker.reports("hello-1")[worker.reports("hello-1").index(before) + 1]
    assert (between.state, between.pid) == ("starting", 0)
    assert "was killed by SIGKILL" in between.detail
    assert after.detail == ""


def test_the_whole_session_dies_with_its_leader(worker: Worker) -> None:
    script = "sleep 600 & (sleep 600; true) & exec python3 app.py"
    worker.run("hello-1", script=script)
    ready = worker.until("hello-1", "ready")
    assert len(worker_kit.strays(worker.home)) == 4
    os.kill(ready.pid, signal.SIGKILL)
    again(worker, "hello-1", 1)
    assert not session(ready.pid)
    assert len(worker_kit.strays(worker.home)) == 4
    worker.ask(supervisor.Stop("hello-1"))
    worker.until("hello-1", "stopped")
    assert not worker_kit.strays(worker.home)


def test_a_service_that_ignores_sigterm_is_killed_after_its_grace(worker: Worker) -> None:
    app = SERVER.replace('print("serving"', 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint("serving"')
    worker.run("stubborn-1", {"app.py": app}, grace=0.2)
    worker.until("stubborn-1", "ready")
    worker.ask(supervisor.Stop("stubborn-1"))
    worker.until("stubborn-1", "stopped")


def test_a_child_of_the_shell_may_use_the_grace_to_end_in_order(worker: Worker) -> None:
    end = 'signal.signal(signal.SIGTERM, lambda *_: (open("../../said-goodbye", "w").close(), sys.exit(0)))\n'
    app = SERVER.replace('print("serving"', end + 'print("serving"')
    worker.run("polite-1", {"app.py": app}, script="python3 app.py; echo never")
    worker.until("polite-1", "ready")
    worker.ask(supervisor.Stop("polite-1"))
    worker.until("polite-1", "stopped")
    assert (worker.home / "said-goodbye").exists()


def test_one_that_exits_at_once_fails_with_its_last_output(worker: Worker) -> None:
    worker.run("broken-1", script="echo 'cannot find the database' >&2; exit 4")
    failed = worker.until("broken-1", "failed")
    assert "broken-1 exited with status 4 (3 times without ever having been ready); its last output:" in failed.detail
    assert failed.detail.count("cannot find the database") == 3
    assert (failed.pid, failed.restarts, failed.served) == (0, 2, False)
    assert "cannot find the database" in worker.log("broken-1")
    ports = {report.port for report in worker.reports("broken-1")} - {0}
    assert len(ports) > 1, "a port that may be to blame is not used again"
    worker.ask(supervisor.Stop("broken-1"))
    worker.until("broken-1", "stopped")


def test_one_that_never_answers_fails_at_its_deadline_with_its_output(worker: Worker) -> None:
    health = Health(http="/healthz", interval=0.1, deadline=0.5)
    worker.run("mute-1", script="echo thinking; exec sleep 600", health=health)
    failed = worker.until("mute-1", "failed")
    assert f"mute-1 did not answer GET /healthz on port {failed.port} within 0.5 s: connection refused" in failed.detail
    assert "thinking" in failed.detail
    eventually(lambda: worker.last("mute-1").pid == 0, "its process is ended")
    assert not worker_kit.strays(worker.home)


def test_one_that_answers_with_an_error_is_not_ready_and_the_error_is_told(worker: Worker) -> None:
    health = Health(http="/", interval=0.1, deadline=1.0)
    worker.run("sick-1", {"app.py": SERVER, "sick": "yes"}, health=health)
    assert "status 503" in worker.until("sick-1", "failed").detail


def test_readiness_comes_and_goes_with_the_answers(worker: Worker) -> None:
    worker.run("hello-1")
    ready = worker.until("hello-1", "ready")
    sick = next((worker.home / "builds").glob("*/app.py")).with_name("sick")
    sick.touch()
    unready = worker.until("hello-1", "unready")
    assert "status 503" in unready.detail
    sick.unlink()
    eventually(lambda: worker.last("hello-1").state == "ready")
    if worker.last("hello-1").pid == ready.pid:  # else it was so slow that it was taken for hung
        assert worker.last("hello-1").detail == ""


def test_a_hung_process_is_killed_and_started_again(worker: Worker) -> None:
    health = Health(http="/", interval=0.02, timeout=0.2, deadline=30)
    worker.run("hello-1", health=health)
    ready = worker.until("hello-1", "ready")
    os.kill(ready.pid, signal.SIGSTOP)
    again(worker, "hello-1", 1)
    details = [report.detail for report in worker.reports("hello-1")]
    assert any("did not answer GET / on port" in detail and "10 times in a row" in detail for detail in details)


def test_without_a_path_accepting_a_connection_is_enough(worker: Worker) -> None:
    worker.run("hello-1", health=Health(interval=0.05))
    assert get(worker.until("hello-1", "ready")) == "hello"


def test_one_that_crashes_again_and_again_is_given_up(worker: Worker) -> None:
    worker.run("hello-1")
    worker.until("hello-1", "ready")
    for restarts in range(1, 6):
        os.kill(worker.last("hello-1").pid, signal.SIGKILL)
        again(worker, "hello-1", restarts)
    os.kill(worker.last("hello-1").pid, signal.SIGKILL)
    failed = worker.until("hello-1", "failed")
    assert "hello-1 was killed by SIGKILL (6 times within" in failed.detail
    assert failed.served


def test_the_environment_is_clean_and_its_own(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUCANO_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    worker.run("hello-1", script="env; exec python3 app.py", env={"GREETING": "hi", "PORT": "1"})
    ready = worker.until("hello-1", "ready")
    seen = dict(line.split("=", 1) for line in worker.log("hello-1").splitlines() if "=" in line)
    assert "secret" not in worker.log("hello-1")
    for name in ("PWD", "OLDPWD", "_", "SHLVL"):  # the shell's own
        seen.pop(name, None)
    own = {"PORT", "HOST", "TUCANO_SERVICE", "TUCANO_INSTANCE", "GREETING"}
    assert own < set(seen) <= own | {
        "PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL", "LC_ALL", "LC_CTYPE"
    }  # fmt: skip
    assert (seen["PORT"], seen["HOST"], seen["GREETING"]) == (str(ready.port), "127.0.0.1", "hi")
    assert (seen["TUCANO_SERVICE"], seen["TUCANO_INSTANCE"]) == ("hello", "hello-1")


def test_the_process_leads_a_session_with_plain_signals_and_no_foreign_files(worker: Worker) -> None:
    with socket.socket() as leaky:
        leaky.set_inheritable(True)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        try:
            worker.run("hello-1")
            ready = worker.until("hello-1", "ready")
        finally:
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        assert os.getsid(ready.pid) == os.getpgid(ready.pid) == ready.pid
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{ready.pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert int(status["SigBlk"], 16) == 0
        assert not int(status["SigIgn"], 16) & (1 << (signal.SIGUSR1 - 1))
        files = {path.name: str(path.readlink()) for path in Path(f"/proc/{ready.pid}/fd").iterdir()}
        assert files["0"] == "/dev/null"
        assert files["1"] == files["2"] == str(worker.home / "logs" / "hello-1.log")
        assert f"socket:[{os.fstat(leaky.fileno()).st_ino}]" not in files.values()


def test_a_crash_of_the_runner_is_not_noticed_by_its_service(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.run("hello-1")
    ready = worker.until("hello-1", "ready")
    eventually(lambda: worker.system.ref("runner.hello-1").is_alive())
    with monkeypatch.context() as broken:
        broken.setattr(lifecycle, "checked", None)
        eventually(lambda: next(i for i in worker.system.snapshot() if i.name == "runner.hello-1").restarts > 0)
    worker.system.ref("runner.hello-1").ask(runner.Report(), timeout=5)
    assert get(ready) == "hello"
    os.kill(ready.pid, signal.SIGKILL)
    again(worker, "hello-1", 1)
    assert any("SIGKILL" in report.detail for report in worker.reports("hello-1")), "its status is known still"


def test_a_script_that_cannot_be_started_fails_with_the_reason(worker: Worker) -> None:
    worker.run("large-1", env={"TOO_LARGE": "x" * 200_000})
    assert "could not be started: [Errno 7] Argument list too long" in worker.until("large-1", "failed").detail


def test_the_tail_is_short(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("".join(f"line {n} {'x' * 200}\n" for n in range(1000)))
    assert len(logs.tail(path)) <= logs.TAIL_BYTES
    assert logs.tail(path).startswith("line 9")
    path.write_bytes(b"\n".join(b"%d" % n for n in range(100)) + b"\xff\n")
    assert logs.tail(path).splitlines() == [*(str(n) for n in range(60, 99)), "99\ufffd"]
    assert logs.tail(tmp_path / "none") == ""
    assert logs.with_tail("it ended", tmp_path / "none") == "it ended; it had printed nothing"
