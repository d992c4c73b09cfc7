"""`tucano.toml`: what is read, and how what is wrong is told."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tucano import spec
from tucano.actors.messages import model
from tucano.actors.proxy import head
from tucano.actors.pure.meaning import PORT_RULE

SMALL = '[service]\nname = "hello"\n[run]\nscript = "python3 app.py"\n'
FULL = """
[service]
name = "hello"
replicas = 3
[build]
script = "make"
timeout = 30
[run]
script = "./app"
env = { GREETING = "hi", _x1 = "" }
grace = 2.5
[health]
http = "/healthz?deep=1"
interval = 1
timeout = 0.5
deadline = 5
[route]
hosts = ["www.example.org", "*.example.org"]
path = "/api"
strip = true
headers = { X-Beta = "yes" }
private = true
[balance]
policy = "hash"
hash_by = "cookie:user"
sticky = "seat"
max_in_flight = 4
queue = 0
queue_wait = 1
slow_start = 30
eject_after = 0
[timeouts]
connect = 0.5
first_byte = 5
idle = 5
tunnel = 60
request = 0
"""


def load(directory: Path, text: str | bytes) -> model.Spec:
    raw = text if isinstance(text, bytes) else text.encode()
    (directory / "tucano.toml").write_bytes(raw)
    return spec.load(directory)


def problems(directory: Path, text: str | bytes) -> list[str]:
    """What is told about a file, without its path, which must begin each line."""
    with pytest.raises(spec.SpecError) as caught:
        load(directory, text)
    prefix = f"{directory / 'tucano.toml'}: "
    assert all(problem.startswith(prefix) for problem in caught.value.problems)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.removeprefix(prefix) for problem in caught.value.problems]


def test_a_name_and_a_run_script_are_enough(tmp_path: Path) -> None:
    assert load(tmp_path, SMALL) == model.Spec(name="hello", run=model.Run(script="python3 app.py"))


def test_everything_that_is_written_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, FULL) == model.Spec(
        name="hello",
        replicas=3,
        build=model.Build(script="make", timeout=30.0),
        run=model.Run(script="./app", env={"GREETING": "hi", "_x1": ""}, grace=2.5),
        health=model.Health(http="/healthz?deep=1", interval=1.0, timeout=0.5, deadline=5.0),
        route=model.Route(("www.example.org", "*.example.org"), "/api", True, {"X-Beta": "yes"}, True),
        balance=model.Balance("hash", "cookie:user", "seat", 4, 0, 1.0, 30.0, 0),
        timeouts=model.Timeouts(0.5, 5.0, 5.0, 60.0, 0.0),
    )


def test_what_the_other_protocols_have_is_read(tmp_path: Path) -> None:
    tcp = "[route]\nprotocol = 'tcp'\nport = 5432\n[balance]\npolicy = 'hash'\nhash_by = 'ip'\nmax_in_flight = 9\n"
    spec = load(tmp_path, SMALL + tcp)
    assert spec.route == model.Route(protocol="tcp", port=5432)
    assert spec.balance == model.Balance("hash", "ip", max_in_flight=9)
    spec = load(tmp_path, SMALL + "[route]\nprotocol = 'zmq'\n[balance]\nrepeat = true\n")
    assert spec.route == model.Route(protocol="zmq")
    assert spec.balance == model.Balance(repeat=True)


@pytest.mark.parametrize("text", ["\ufeff" + SMALL, SMALL.replace("\n", "\r\n")])
def test_byte_order_marks_and_carriage_returns_of_windows_are_no_problem(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).name == "hello"


def test_a_missing_file_is_told_with_an_example_that_works(tmp_path: Path) -> None:
    with pytest.raises(spec.SpecError) as caught:
        spec.load(tmp_path)
    head, example = str(caught.value).split("\n\n", 1)
    assert head == f"no tucano.toml in {tmp_path}: write one with at least [service] name and [run] script:"
    assert len(example.splitlines()) == 4
    assert load(tmp_path, example).name == "hello"


def test_a_missing_directory_and_a_file_for_a_directory_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(spec.SpecError, match="no directory"):
        spec.load(tmp_path / "nowhere")
    load(tmp_path, SMALL)
    with pytest.raises(spec.SpecError, match="is a file: name the directory"):
        spec.load(tmp_path / "tucano.toml")


def test_what_is_no_regular_file_is_not_even_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "tucano.toml")
    with pytest.raises(spec.SpecError, match="not a regular file"):
        spec.load(tmp_path)


def test_a_directory_that_may_not_be_entered_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)  # as root everything is allowed
    with pytest.raises(spec.SpecError, match="cannot be read: Permission denied"):
        spec.load(tmp_path)


WHOLE_FILE = {
    "not UTF-8": (SMALL.encode() + b"# caf\xe9\n", "not UTF-8: found byte 0xe9 in line 5; save the file as UTF-8"),
    "too large": (SMALL + "#" * spec.MAX_BYTES, "larger than 1 MiB (1048576 bytes), the most that is read"),
    "syntax": ("[service]\nname = hello\n", "not valid TOML: Invalid value (at line 2, column 8)"),
    "unclosed": ('[service]\nname = "hello\n', "not valid TOML: Illegal character '\\n' (at line 2, column 14)"),
    "deep": ("a = " + "[" * 100_000, "nested too deeply"),
    "said twice": (SMALL + "[service]\n", "not valid TOML: Cannot declare ('service',) twice (at line 5, column 9)"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), WHOLE_FILE.values(), ids=WHOLE_FILE)
def test_a_file_that_is_no_toml_is_told_with_the_place(tmp_path: Path, text: str | bytes, problem: str) -> None:
    assert problems(tmp_path, text) == [problem]


def test_a_number_of_thousands_of_digits_is_refused_not_crashed_on(tmp_path: Path) -> None:
    (decimal,) = problems(tmp_path, SMALL + "[health]\ntimeout = " + "9" * 5000)
    assert decimal.startswith("not valid TOML: ")
    (hexadecimal,) = problems(tmp_path, SMALL + "[health]\ntimeout = 0x" + "f" * 5000)
    assert hexadecimal.startswith("health.timeout: found a number of more than 18 digits; allowed: ")


def service(line: str) -> str:
    return SMALL.replace("[run]", f"{line}\n[run]")


def named(name: str) -> str:
    return SMALL.replace('"hello"', name)


def run(line: str) -> str:
    return SMALL + line


def script(value: str) -> str:
    return SMALL.replace('"python3 app.py"', value)


def route(line: str) -> str:
    return f"{SMALL}[route]\n{line}\n"


def balance(line: str) -> str:
    return f"{SMALL}[balance]\n{line}\n"


def health(line: str) -> str:
    return f"{SMALL}[health]\n{line}\n"


REPLICAS = "allowed: a whole number from 1 to 1000"
SECONDS = "allowed: a number of seconds above 0 and up to 86400"
NAME = "allowed: 1 to 40 of a-z, 0-9 and '-', the first a letter, the last not '-' (it stands in host names)"
SCRIPT = "allowed: a text of 1 to 65536 characters"
PATH = 'allowed: a path such as "/healthz": "/" first, ASCII without spaces, at most 1024 characters'
ENV = 'allowed: a table of texts, such as { GREETING = "hi" }'
VARIABLE = "no name of a variable; allowed: letters, digits and '_', the first not a digit"
GIVEN = "given by Tucano: PORT, HOST and TUCANO_* cannot be set; take another name"
MISSING_SCRIPT = "missing; write it below [run]: a text of 1 to 65536 characters"
BUILD_SCRIPT = "allowed: a text of at most 65536 characters"
PASSABLE = "allowed: at most 131071, what Linux passes to a process"
TRUTH = "(true or false, no number)"
FRACTION = "(a number with a fraction)"
REPEAT = "balance.repeat: only a zmq service reads it; of HTTP the method says what may be repeated"
NO_TCP = "a tcp service does not read it; leave it out"
NO_ZMQ = "a zmq service does not read it; leave it out"
HOSTS = 'allowed: a list of at most 64 host names in lower case, such as ["www.example.org", "*.example.org"]'
PREFIX = 'allowed: a path such as "/api": "/" first, no query, ASCII without spaces, at most 1024 characters'
HEADER = "allowed: a text of 1 to 512 visible ASCII characters, with spaces only between them"
HEADER_NAME = "no name of a header; allowed: letters, digits and !#$%&'*+-.^_`|~, at most 64"
HASH_BY = 'allowed: "ip", "path", "header:NAME" or "cookie:NAME"'
RESOLVED = "no request would fit: clients resolve '.' and '..' before they ask; write where it leads"
NOBODY_WAITS = "nobody waits as long as no instance is full; write max_in_flight, or leave it out"
POLICIES = 'allowed: "hash" or "least_latency" or "round_robin" or "two_choices"'
OURS = "this header is between user and balancer; take another one"
TABLES_ARE = "the tables are service, run, build, health, route, balance, timeouts"
IN_SERVICE = "allowed in [service]: name, replicas"
IN_HEALTH = "allowed in [health]: http, interval, timeout, deadline"
NUL = "found a NUL character (\\u0000), which no process can be given; remove it"

WRONG = [
    (service("replicas = 0"), f"service.replicas: found 0; {REPLICAS}"),
    (service("replicas = -1"), f"service.replicas: found -1; {REPLICAS}"),
    (service("replicas = 1001"), f"service.replicas: found 1001; {REPLICAS}"),
    (service("replicas = 1_000_000"), f"service.replicas: found 1000000; {REPLICAS}"),
    (service("replicas = 3.0"), f"service.replicas: found 3.0 {FRACTION}; {REPLICAS}"),
    (service("replicas = true"), f"service.replicas: found true {TRUTH}; {REPLICAS}"),
    (service('replicas = "3"'), f'service.replicas: found "3"; {REPLICAS}'),
    (service("replicas = [3]"), f"service.replicas: found a list; {REPLICAS}"),
    (service("replicas = nan"), f"service.replicas: found nan; {REPLICAS}"),
    (named('"Hello"'), f'service.name: found "Hello"; {NAME}'),
    (named('""'), f"service.name: found an empty text; {NAME}"),
    (named('"1st"'), f'service.name: found "1st"; {NAME}'),
    (named('"end-"'), f'service.name: found "end-"; {NAME}'),
    (named('"a.b"'), f'service.name: found "a.b"; {NAME}'),
    (named(f'"{"a" * 41}"'), f'service.name: found "{"a" * 41}"; {NAME}'),
    (named('"hello\\n"'), f'service.name: found "hello\\n"; {NAME}'),
    (named('"../up"'), f'service.name: found "../up"; {NAME}'),
    (named('"a\\u0000"'), f"service.name: {NUL}"),
    (named("2026-01-01"), f"service.name: found a date or time; {NAME}"),
    (script('""'), f"run.script: found an empty text; {SCRIPT}"),
    (script('" \\n\\t"'), f"run.script: found an empty text; {SCRIPT}"),
    (script("7"), f"run.script: found 7; {SCRIPT}"),
    (script('"a\\u0000b"'), f"run.script: {NUL}"),
    (script(f'"{"x" * 65537}"'), f'run.script: found "{"x" * 60}..."; {SCRIPT}'),
    (script(f'"{"€" * 60000}"'), f"run.script: found 180000 bytes; {PASSABLE}"),
    (SMALL.replace("script", "# script"), f"run.script: {MISSING_SCRIPT}"),
    ("[service]\nname = 'a'\n", f"run.script: {MISSING_SCRIPT}"),
    ("[run]\nscript = 'a'\n", f"service.name: missing; write it below [service]: {NAME.removeprefix('allowed: ')}"),
    (SMALL + "[build]\nscript = false", f"build.script: found false {TRUTH}; {BUILD_SCRIPT}"),
    (SMALL + "[build]\ntimeout = 0", f"build.timeout: found 0; {SECONDS}"),
    (run("grace = -0.5"), f"run.grace: found -0.5 {FRACTION}; {SECONDS}"),
    (run("grace = true"), f"run.grace: found true {TRUTH}; {SECONDS}"),
    (health("interval = nan"), f"health.interval: found nan; {SECONDS}"),
    (health("interval = inf"), f"health.interval: found inf; {SECONDS}"),
    (health("timeout = -inf"), f"health.timeout: found -inf; {SECONDS}"),
    (health("deadline = 86401"), f"health.deadline: found 86401; {SECONDS}"),
    (health('deadline = "60s"'), f'health.deadline: found "60s"; {SECONDS}'),
    (health('http = "healthz"'), f'health.http: found "healthz"; {PATH}'),
    (health('http = "/a b"'), f'health.http: found "/a b"; {PATH}'),
    (health('http = "/a\\r\\nX: y"'), f'health.http: found "/a\\r\\nX: y"; {PATH}'),
    (health('http = "/a\\n"'), f'health.http: found "/a\\n"; {PATH}'),
    (run('env = "A=b"'), f'run.env: found "A=b"; {ENV}'),
    (run('env = ["A=b"]'), f"run.env: found a list; {ENV}"),
    (run("env = { N = 3 }"), 'run.env.N: found 3; allowed: a text: quote it, N = "3"'),
    (run("env = { N = true }"), f'run.env.N: found true {TRUTH}; allowed: a text: quote it, N = "true"'),
    (run("env = { N = 1.5 }"), f'run.env.N: found 1.5 {FRACTION}; allowed: a text: quote it, N = "1.5"'),
    (run("env = { N = ['a'] }"), "run.env.N: found a list; allowed: a text"),
    (run("env.A.B = 'x'"), "run.env.A: found a table; allowed: a text"),
    (run("env = { 1A = 'x' }"), f"run.env.1A: {VARIABLE}"),
    (run("env = { A-B = 'x' }"), f"run.env.A-B: {VARIABLE}"),
    (run("env = { 'A=B' = 'x' }"), f'run.env."A=B": {VARIABLE}'),
    (run("env = { '' = 'x' }"), f'run.env."": {VARIABLE}'),
    (run('env = { "A\\n" = "x" }'), f'run.env."A\\n": {VARIABLE}'),
    (run("env = { 'É' = 'x' }"), f'run.env."É": {VARIABLE}'),
    (run("env = { PORT = '1' }"), f"run.env.PORT: {GIVEN}"),
    (run("env = { HOST = 'x' }"), f"run.env.HOST: {GIVEN}"),
    (run("env = { TUCANO_KEY = 'x' }"), f"run.env.TUCANO_KEY: {GIVEN}"),
    (run('env = { A = "\\u0000" }'), f"run.env.A: {NUL}"),
    (run(f"env = {{ A = '{'x' * 131070}' }}"), f"run.env.A: found 131072 bytes; {PASSABLE}"),
    ("service = 3\n[run]\nscript = 'a'", "service: found 3; allowed: a table, [service]"),
    ("[service]\nname = 'a'\n[[run]]\nscript = 'a'", "run: found a list; allowed: a table, [run]"),
    (service("replica = 3"), f"service.replica: unknown key; did you mean replicas? {IN_SERVICE}"),
    (service("script = 'x'"), f"service.script: unknown key; did you mean run.script? {IN_SERVICE}"),
    (service("'x y' = 1"), 'service."x y": unknown key; allowed in [service]: name, replicas'),
    (health("path = '/x'"), f"health.path: unknown key; did you mean route.path? {IN_HEALTH}"),
    (health("http_ = '/x'"), f"health.http_: unknown key; did you mean http? {IN_HEALTH}"),
    (route("hosts = 'a.example'"), f'route.hosts: found "a.example"; {HOSTS}'),
    (route("hosts = ['A.example']"), f'route.hosts[0]: found "A.example"; {HOSTS}'),
    (route("hosts = ['a.example', 'b.*.example']"), f'route.hosts[1]: found "b.*.example"; {HOSTS}'),
    (route("hosts = ['a.example:80']"), f'route.hosts[0]: found "a.example:80"; {HOSTS}'),
    (route("hosts = ['*']"), f'route.hosts[0]: found "*"; {HOSTS}'),
    (route("hosts = [3]"), f"route.hosts[0]: found 3; {HOSTS}"),
    (route("path = 'api'"), f'route.path: found "api"; {PREFIX}'),
    (route("path = '/a?b'"), f'route.path: found "/a?b"; {PREFIX}'),
    (route("strip = 'yes'"), 'route.strip: found "yes"; allowed: true or false'),
    (route("strip = true"), 'route.strip: there is nothing to cut off; name what with path = "/..."'),
    (route("path = '/v2/../x'"), f"route.path: {RESOLVED}"),
    (route("path = '/.'"), f"route.path: {RESOLVED}"),
    (route("headers = { X-Beta = 1 }"), f"route.headers.X-Beta: found 1; {HEADER}"),
    (route("headers = { X-Beta = ' a' }"), f'route.headers.X-Beta: found " a"; {HEADER}'),
    (route("headers = { 'X Beta' = 'a' }"), f'route.headers."X Beta": {HEADER_NAME}'),
    (route("headers = { hOst = 'a' }"), f"route.headers.hOst: {OURS}"),
    (balance("policy = 'random'"), f'balance.policy: found "random"; {POLICIES}'),
    (balance("hash_by = 'ip'"), 'balance.hash_by: only policy = "hash" reads it; write that, or leave it out'),
    (balance("policy = 'hash'\nhash_by = 'header'"), f'balance.hash_by: found "header"; {HASH_BY}'),
    (balance("policy = 'hash'\nhash_by = 'header:Host'"), f"balance.hash_by: {OURS}"),
    (balance("sticky = 'a b'"), 'balance.sticky: found "a b"; allowed: the name of a cookie, such as "session"'),
    (balance("max_in_flight = -1"), "balance.max_in_flight: found -1; allowed: a whole number from 0 to 1000000"),
    (balance("queue = 5"), f"balance.queue: {NOBODY_WAITS}"),
    (balance("max_in_flight = 0\nqueue_wait = 1"), f"balance.queue_wait: {NOBODY_WAITS}"),
    (balance("slow_start = -1"), "balance.slow_start: found -1; allowed: a number of seconds from 0 to 86400"),
    (balance("slow_start = nan"), "balance.slow_start: found nan; allowed: a number of seconds from 0 to 86400"),
    (SMALL + "[timeouts]\nconnect = 0", f"timeouts.connect: found 0; {SECONDS}"),
    (route("protocol = 'udp'"), 'route.protocol: found "udp"; allowed: "http" or "tcp" or "zmq"'),
    (route("protocol = ['tcp']"), 'route.protocol: found a list; allowed: "http" or "tcp" or "zmq"'),
    (route("protocol = 'tcp'"), f"route.port: missing; {PORT_RULE}"),
    (route("port = 5432"), f"route.port: not allowed here; {PORT_RULE}"),
    (route("protocol = 'tcp'\nport = 80"), "route.port: found 80; allowed: a whole number from 1024 to 65535"),
    (SMALL + "[balance]\nrepeat = 1", "balance.repeat: found 1; allowed: true or false"),
    (route("protocol = 'zmq'\npath = '/a'"), f"route.path: {NO_ZMQ}"),
    (route("protocol = 'tcp'\nport = 5432\nhosts = ['a.example']"), f"route.hosts: {NO_TCP}"),
    (route("protocol = 'tcp'\nport = 5432") + "[balance]\nsticky = 'a'", f"balance.sticky: {NO_TCP}"),
    (route("protocol = 'tcp'\nport = 5432") + "[timeouts]\nrequest = 5", f"timeouts.request: {NO_TCP}"),
    (
        route("protocol = 'zmq'") + "[balance]\npolicy = 'least_latency'",
        'balance.policy: found "least_latency"; allowed for a zmq service: "round_robin" or "two_choices"',
    ),
    (
        route("protocol = 'tcp'\nport = 5432") + "[balance]\npolicy = 'hash'\nhash_by = 'cookie:a'",
        'balance.hash_by: found "cookie:a"; allowed for a tcp service: "ip"',
    ),
    (balance("repeat = true"), REPEAT),
    (SMALL + "[helth]\nhttp = '/'", f"helth: unknown table; did you mean health? {TABLES_ARE}"),
    ("replicas = 3\n" + SMALL, f"replicas: unknown key; did you mean service.replicas? {TABLES_ARE}"),
    ("zzz = 3\n" + SMALL, f"zzz: unknown key; {TABLES_ARE}"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[problem[:60] for _, problem in WRONG])
def test_what_is_wrong_is_told_with_key_what_was_found_and_what_is_allowed(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problems(tmp_path, text) == [problem]


def test_no_rule_is_about_a_header_that_the_balancer_keeps_to_itself(tmp_path: Path) -> None:
    for name in sorted(head._DROPPED | {b"proxy-authorization"}):
        assert problems(tmp_path, route(f"headers = {{ {name.decode()} = 'x' }}")), name


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "[service]\nname = 'A'\nreplicas = 0\nport = 1\n[run]\nenv = { PORT = '1', N = 2 }\n[helth]\n"
    keys = [problem.split(":")[0] for problem in problems(tmp_path, text)]
    assert keys == [
        "service.name", "service.replicas", "service.port", "run.env.PORT", "run.env.N", "helth", "run.script",
    ]  # fmt: skip


def test_of_a_thousand_problems_the_first_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    told = problems(tmp_path, "\n".join(f"x{number} = 1" for number in range(1000)) + "\n" + SMALL)
    assert len(told) == 21
    assert told[-1] == "and 980 more problems"


def test_the_bounds_themselves_are_allowed(tmp_path: Path) -> None:
    assert load(tmp_path, service("replicas = 1000")).replicas == model.MAX_REPLICAS
    assert load(tmp_path, health("deadline = 86400")).health.deadline == 86_400.0
    assert load(tmp_path, named(f'"{"a" * 40}"')).name == "a" * 40
    assert load(tmp_path, run(f"env = {{ A = '{'x' * 131069}' }}")).run.env["A"] == "x" * 131_069
    assert load(tmp_path, SMALL + "[build]\nscript = ''").build.script == ""


@pytest.mark.parametrize("replicas", [0, -1, 1001, True, 2.0, "3"])
def test_an_override_is_checked_like_the_file(replicas: int) -> None:
    base = model.Spec(name="a", run=model.Run(script="x"))
    with pytest.raises(spec.SpecError, match=r"^replicas: found .*; allowed: a whole number from 1 to 1000$"):
        spec.override(base, replicas=replicas)


def test_an_override_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    base = load(tmp_path, FULL)
    assert spec.override(base, replicas=7) == msgspec.structs.replace(base, replicas=7)
    assert spec.override(base, replicas=None) is base


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab/ \n\0=", max_size=3) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab/ \n\0=", max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = st.sampled_from([
    "service", "run", "build", "health", "route", "balance", "timeouts", "name", "script", "env", "replicas", "timeout",
    "hosts", "path", "headers", "strip", "policy", "hash_by", "sticky", "queue", "slow_start", "idle", "x",
])  # fmt: skip
FILES = st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4) | VALUES, max_size=5)


@given(FILES)
@example({"service": {"name": "a\n"}, "run": {"script": "x"}})
@example({"service": {"name": "a", "replicas": True}, "run": {"script": "x"}})
def test_what_these_words_let_through_the_model_takes_too(tables: dict[str, object]) -> None:
    found = list(spec._problems(tables))
    assert all(found)
    if not found:
        service_ = tables["service"]
        assert isinstance(service_, dict)
        rest = {name: table for name, table in tables.items() if name != "service"}
        msgspec.convert({**service_, **rest}, model.Spec)
