"""The command line as people and programs use it: a process, its output, its exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import eventually
from tests.tucano.stand_in import Refuse, StandIn, instance
from tucano.home import Home, Running

MAIN = [sys.executable, "-c", "import sys; sys.argv[0] = 'tucano'; from tucano.cli import main; main()"]


def environment(home: Path, **extra: str) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("TUCANO_")}
    return {**env, "TUCANO_HOME": str(home), "COLUMNS": "100", **extra}


def tucano(home: Path, *args: object) -> subprocess.CompletedProcess[str]:
    command = [*MAIN, *map(str, args)]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert "\033" not in done.stdout + done.stderr  # neither is a terminal
    return done


def good(home: Path, *args: object) -> str:
    done = tucano(home, *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def data(home: Path, *args: object) -> Any:
    return json.loads(good(home, *args, "--json"))


@pytest.fixture
def home(stand_in: StandIn) -> Path:
    stand_in._deploy({"name": "hello", "replicas": 2, "run": {"script": "x", "env": {"TOKEN": "s3cret"}}}, "a" * 64)
    stand_in.logs["hello-10"] = b"one\ntwo\nthree\n"
    stand_in.logs["hello-11"] = b"uno\r\ndos"
    stand_in.logs["hello-10.build"] = b"built\n"
    return stand_in.home.path


# Without a cluster


@pytest.mark.parametrize(
    "command",
    [
        ["status"], ["services"], ["show", "x"], ["nodes"], ["scale", "x", "2"], ["restart", "x"], ["undeploy", "x"],
        ["logs", "x"], ["events"], ["ps"], ["trace"], ["trace", "0" * 16], ["top"], ["metrics"],
        ["services", "--json"],
    ],
)  # fmt: skip
def test_without_a_cluster_every_command_says_how_to_start_one(tmp_path: Path, command: list[str]) -> None:
    done = tucano(tmp_path, *command)
    assert done.returncode == 3
    assert done.stdout == ""
    assert "tucano up --workers 2" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_status_tells_programs_too_that_none_runs(tmp_path: Path) -> None:
    done = tucano(tmp_path, "status", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout) == {
        "home": str(tmp_path), "running": False, "pid": None, "http_port": None, "zmq_port": None, "nodes": [],
    }  # fmt: skip


def test_a_wrong_description_is_told_cluster_or_no_cluster(tmp_path: Path, service: Path) -> None:
    (service / "tucano.toml").write_text('[service]\nname = "Hello"\nreplica = 3\n')
    done = tucano(tmp_path, "deploy", service)
    assert done.returncode == 1
    for word in ("tucano.toml", "service.name", "service.replica", "did you mean replicas?", "run.script"):
        assert word in done.stderr


def test_down_is_content_when_nothing_runs(tmp_path: Path) -> None:
    assert "no cluster runs" in good(tmp_path, "down")
    assert data(tmp_path, "down") == {"home": str(tmp_path), "running": False, "stopped": False, "purged": False}


def test_down_forgets_a_cluster_that_died(tmp_path: Path) -> None:
    Home(tmp_path).announce(Running(2**22 - 1, 1.0, 1, 1, 1, {"worker-1": os.getpid()}))
    good(tmp_path, "down")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_no_home_is_never_purged(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = tucano(tmp_path, "down", "--purge")
    assert done.returncode == 1
    assert "does not look like a cluster's home" in done.stderr
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("command", [["scale", "x", "0"], ["scale", "x", "many"], ["nonsense"], ["up", "--port", "x"]])
def test_wrong_usage_is_2(tmp_path: Path, command: list[str]) -> None:
    assert tucano(tmp_path, *command).returncode == 2


def test_help_names_every_command_and_the_exit_statuses(tmp_path: Path) -> None:
    text = good(tmp_path, "--help")
    for word in (
        "up", "down", "status", "demo", "deploy", "services", "show", "nodes", "scale", "undeploy", "restart", "logs",
        "events", "ps", "top", "metrics", "trace", "version", "controller", "worker", "balancer", "tls",
        "3 no cluster runs", "--debug",
    ):  # fmt: skip
        assert word in text


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert good(tmp_path, "version") == f"tucano {project['version']}\n"


def test_the_home_may_be_named_before_the_command_and_after_it_counts_more(stand_in: StandIn, home: Path) -> None:
    elsewhere = home.parent / "elsewhere"
    assert "hello" in good(elsewhere, "--home", home, "services")
    assert "hello" in good(elsewhere, "--home", elsewhere, "services", "--home", home)
    assert tucano(home, "--home", elsewhere, "services").returncode == 3


def test_hints_name_the_home_that_is_meant(stand_in: StandIn, home: Path) -> None:
    elsewhere = home.parent / "some where"
    assert good(elsewhere, "scale", "hello", 3, "--home", home).splitlines()[-1] == (
        f"tucano trace {stand_in.traces:016x} --home {home} shows how"
    )
    assert f"`tucano show hello --home {home}`" in good(elsewhere, "restart", "hello", "--no-wait", "--home", home)
    assert f"`tucano down --home {home}`" in tucano(elsewhere, "up", "--home", home).stderr
    assert f"`tucano up --workers 2 --home '{elsewhere}'`" in tucano(home, "ps", "--home", elsewhere).stderr
    assert "--home" not in tucano(elsewhere, "ps").stderr


# Looks


def test_status_names_ports_pid_and_nodes(stand_in: StandIn, home: Path) -> None:
    found = data(home, "status")
    assert (found["running"], found["pid"], found["zmq_port"]) == (True, os.getpid(), stand_in.port)
    assert [(node["name"], node["role"]) for node in found["nodes"]] == [
        ("controller", "controller"), ("worker-1", "worker"),
    ]  # fmt: skip
    assert f"tcp://127.0.0.1:{stand_in.port}" in good(home, "status")


def test_status_says_what_the_home_knows_when_the_controller_is_away(stand_in: StandIn, home: Path) -> None:
    stand_in.kill()
    found = data(home, "status")
    assert found["running"]
    assert {node["name"]: node["state"] for node in found["nodes"]} == {"controller": "unknown", "worker-1": "unknown"}


def test_services_show_nodes_and_events_print_tables_and_json(home: Path) -> None:
    assert "hello  http     2/2  done" in good(home, "services")
    assert data(home, "services")["services"][0] == {
        "name": "hello", "replicas": 2, "ready": 2, "state": "done", "revision": 1, "detail": "",
        "protocol": "http", "port": None,
    }  # fmt: skip
    assert "hello-11" in good(home, "show", "hello")
    shown = data(home, "show", "hello")
    keys = {"id", "node", "pid", "port", "state", "restarts"}
    assert all(keys <= one.keys() for one in shown["instances"])
    assert "worker-1" in good(home, "nodes")
    assert data(home, "nodes")["nodes"][1]["memory_used"] == 1_500_000_000
    assert "service_changed" in good(home, "events")
    assert data(home, "events")["events"][0].keys() == {"seq", "at", "kind", "subject", "text"}


def test_secrets_are_printed_nowhere(home: Path) -> None:
    assert "s3cret" not in good(home, "show", "hello") + good(home, "show", "hello", "--json")


def test_an_unknown_service_is_told_in_one_line(home: Path) -> None:
    for command in (["show"], ["restart"], ["undeploy"], ["logs"]):
        done = tucano(home, *command, "nobody")
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert "nobody" in done.stderr


def test_events_are_followed_a_line_each_until_ctrl_c(stand_in: StandIn, home: Path) -> None:
    command = [*MAIN, "events", "-f", "-n", "1", "--json"]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["subject"] == "hello"
        stand_in.say("worker_lost", "worker-1")
        assert json.loads(following.stdout.readline())["kind"] == "worker_lost"
        following.send_signal(signal.SIGINT)
        assert following.wait(20) in (1, 130)


# Logs


def test_logs_are_prefixed_by_instance_and_cut_to_the_last_lines(home: Path) -> None:
    assert good(home, "logs", "hello", "-n", "2") == (
        "hello-10 | two\nhello-10 | three\nhello-11 | uno\nhello-11 | dos\n"
    )
    assert good(home, "logs", "hello-10", "-n", "1") == "hello-10 | three\n"
    assert good(home, "logs", "hello", "--build") == "hello-10 | built\n"
    assert data(home, "logs", "hello-11") == {"logs": [{"id": "hello-11", "text": "uno\ndos\n"}]}


def test_a_long_log_is_read_to_its_end_in_pieces(stand_in: StandIn, home: Path) -> None:
    stand_in.logs["hello-10"] = b"".join(b"line %07d\n" % number for number in range(300_000))
    lines = good(home, "logs", "hello-10", "-n", "5000").splitlines()
    assert (len(lines), lines[0], lines[-1]) == (5000, "hello-10 | line 0295000", "hello-10 | line 0299999")


def test_following_a_log_shows_new_instances_too_and_ends_with_the_service(stand_in: StandIn, home: Path) -> None:
    command = [*MAIN, "logs", "hello", "-f", "-n", "1"]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert [following.stdout.readline() for _ in range(2)] == ["hello-10 | three\n", "hello-11 | dos\n"]
        stand_in.logs["hello-10"] += b"half a "
        stand_in.logs["hello-10"] += b"line\n"
        assert following.stdout.readline() == "hello-10 | half a line\n"
        stand_in.logs["hello-new"] = b"born\n"
        stand_in.change("hello", instances=[*stand_in.services["hello"]["instances"], instance("hello-new")])
        assert following.stdout.readline() == "hello-new | born\n"
        del stand_in.services["hello"]
        assert following.wait(20) == 0


# Commands


def test_deploy_prints_a_line_for_each_step_and_ends_when_it_serves(
    stand_in: StandIn, home: Path, service: Path
) -> None:
    lines = good(home, "deploy", service).splitlines()
    assert lines[0].startswith("packed 1 file,")
    assert lines[1].startswith("uploaded")
    assert lines[2] == "revision 2 accepted, 2 replicas wanted"
    assert "hello-20 on worker-1: ready" in lines
    assert lines[-2] == "hello runs: curl -H 'Host: hello' http://127.0.0.1:8080/"
    assert lines[-1] == f"tucano trace {stand_in.traces:016x} shows how"


def test_deploy_tells_programs_how_it_ended(stand_in: StandIn, home: Path, service: Path) -> None:
    done = tucano(home, "deploy", service, "--replicas", "3", "--json")
    assert json.loads(done.stdout) == {
        "service": "hello", "revision": 2, "state": "done", "replicas": 3, "ready": 3, "detail": "",
        "trace": f"{stand_in.traces:016x}",
    }  # fmt: skip
    assert "revision 2 accepted" in done.stderr


def test_a_failed_deployment_is_1_and_says_why_in_full(stand_in: StandIn, home: Path, service: Path) -> None:
    detail = "the build of hello failed on worker-1: exited with status 1\n  pip: no such package"

    def fail(shown: dict[str, Any]) -> None:
        stand_in.change("hello", state="failed", revision=1, detail=detail)

    stand_in.on_deploy = fail
    done = tucano(home, "deploy", service)
    assert done.returncode == 1
    assert detail in done.stderr
    assert done.stdout.splitlines()[-1] == f"tucano trace {stand_in.traces:016x} shows how"
    done = tucano(home, "deploy", service, "--json")
    assert (done.returncode, json.loads(done.stdout)["detail"]) == (1, detail)
    assert json.loads(done.stdout)["state"] == "failed"
    assert json.loads(done.stdout)["trace"] == f"{stand_in.traces:016x}"


def test_no_wait_comes_back_at_once(stand_in: StandIn, home: Path, service: Path) -> None:
    stand_in.on_deploy = lambda shown: None
    assert "tucano show hello" in good(home, "deploy", service, "--no-wait")
    assert data(home, "restart", "hello", "--no-wait")["state"] == "rolling"


def test_a_timeout_says_where_it_stands(stand_in: StandIn, home: Path, service: Path) -> None:
    stand_in.on_deploy = lambda shown: None
    done = tucano(home, "deploy", service, "--timeout", "3")
    assert done.returncode == 1
    assert "0 of 2 ready" in done.stderr


def test_scale_restart_and_undeploy_wait_until_it_is_so(stand_in: StandIn, home: Path) -> None:
    assert good(home, "scale", "hello", "4").splitlines()[-2:] == [
        "hello has 4 replicas", f"tucano trace {stand_in.traces:016x} shows how",
    ]  # fmt: skip
    assert json.loads(tucano(home, "scale", "hello", "3", "--json").stdout)["ready"] == 3
    assert good(home, "restart", "hello").splitlines()[-2] == "hello is restarted"
    assert data(home, "undeploy", "hello") == {
        "service": "hello", "revision": 2, "state": "gone", "trace": f"{stand_in.traces:016x}",
    }  # fmt: skip
    assert stand_in.services == {}


def test_what_the_cluster_refuses_is_1_with_its_words(stand_in: StandIn, home: Path) -> None:
    def refuse(op: str, args: dict[str, Any]) -> None:
        if op == "scale":
            raise Refuse("conflict: hello is being removed")

    stand_in.before = refuse
    done = tucano(home, "scale", "hello", "2")
    assert (done.returncode, done.stderr) == (1, "Error: hello is being removed\n")


def test_a_fault_of_ours_has_a_traceback_only_with_debug(stand_in: StandIn, home: Path) -> None:
    stand_in.services["hello"]["instances"] = "nonsense"
    done = tucano(home, "show", "hello")
    assert done.returncode == 1
    assert "tucano --debug" in done.stderr
    command = [*MAIN, "--debug", "show", "hello"]
    done = subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" in done.stderr


def test_a_reader_that_has_enough_is_no_error(home: Path) -> None:
    shell = f'{MAIN[0]} -c "{MAIN[2]}" logs hello-10 | true'
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", shell], env=environment(home), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_up_says_that_one_runs_already(stand_in: StandIn, home: Path) -> None:
    done = tucano(home, "up", "--detach")
    assert done.returncode == 1
    assert f"tcp://127.0.0.1:{stand_in.port}" in done.stderr


def test_on_a_terminal_there_are_colours(home: Path) -> None:
    import pty

    reader, writer = pty.openpty()
    with subprocess.Popen([*MAIN, "services"], env=environment(home, TERM="xterm"), stdout=writer) as process:
        os.close(writer)
        text = eventually(lambda: os.read(reader, 65536), "the table")
        process.wait(20)
    os.close(reader)
    assert b"\033[32mdone\033[0m" in text


def test_importing_tucano_is_cheap_and_so_is_help() -> None:
    code = (
        "import sys, tucano, tucano.cli; "
        "print([heavy for heavy in ('zmq', 'rich', 'psutil', 'msgspec', 'pykka') if heavy in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_package_gives_what_it_promises() -> None:
    import tucano as package

    assert {"Client", "connect", "local_cluster", "__version__"} <= set(dir(package))
    assert package.Client.__name__ == "Client"
    with pytest.raises(AttributeError, match="nonsense"):
        package.nonsense  # noqa: B018
