"""Reads `tucano.toml`: what a service's owner wrote, into the `model.Spec` that the cluster understands.

Tables, keys, types and bounds are read from `model.Spec` itself, so there is one place that says what is allowed. Here
it is only put into words: file, key, what was found, what is allowed, what was probably meant; all problems at once.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from tucano.actors.messages import model
from tucano.actors.pure.meaning import pointless
from tucano.complaints import allowed, complaint, plain, quoted, show, unpassable, wrong_items

FILE = "tucano.toml"
"""The name of the file, in the directory of the service."""

MAX_BYTES = 1 << 20
"""Size of the file at most: far above any real one, small enough to be parsed in a moment."""

MAX_PROBLEMS = 20
"""Problems that are told at once; of more, only the number."""

_EXAMPLE = """\
    [service]
    name = "hello"
    [run]
    script = "python3 app.py"
"""

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Header lines that end at the balancer, or that it writes.
_OURS = re.compile(
    "connection|keep-alive|te|upgrade|transfer-encoding|content-length|host|expect|http2-settings|forwarded"
    "|x-real-ip|x-request-id|(proxy|x-forwarded)(-.*)?",
    re.IGNORECASE,
)
_NO_RULE = "this header is between user and balancer; take another one"
_RESERVED = re.compile(r"PORT|HOST|TUCANO_.*")


class SpecError(Exception):
    """A service's description that cannot be used; the text is for a person and may be several lines.

    Attributes:
        problems: the lines, one problem each.

    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def load(directory: Path) -> model.Spec:
    """Read `directory/tucano.toml`.

    Raises:
        SpecError: the file is missing, unreadable or wrong; all that is wrong is told at once.

    """
    path = directory / FILE
    tables = _parse(path, _read(path))
    problems = [f"{path}: {problem}" for problem in _problems(tables)]
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"{path}: and {len(problems) - MAX_PROBLEMS} more problems"]
    if problems:
        raise SpecError(problems)
    problems = [f"{path}: {problem}" for problem in _contradictions(tables)]
    if problems:
        raise SpecError(problems)
    wanted = {**tables["service"], **{name: table for name, table in tables.items() if name != "service"}}
    try:
        spec = msgspec.convert(wanted, model.Spec)
    except msgspec.ValidationError as error:  # the last word, should the words above ever know less than the model
        raise SpecError([f"{path}: {error}"]) from error
    problems = [f"{path}: {problem}" for problem in pointless(spec)]
    if problems:
        raise SpecError(problems)
    return spec


def override(spec: model.Spec, *, replicas: int | None) -> model.Spec:
    """The spec with what the command line says instead; `None` changes nothing.

    Raises:
        SpecError: the number of replicas is not allowed.

    """
    if replicas is None:
        return spec
    if wrong := complaint("service.replicas", _TABLES["service"]["replicas"].type, replicas):
        raise SpecError([f"replicas: {wrong}"])
    return msgspec.structs.replace(spec, replicas=replicas)


def _read(path: Path) -> str:
    """The text of the file."""
    directory = path.parent
    try:
        if directory.is_file():
            raise SpecError([f"{directory} is a file: name the directory that holds {FILE}"])
        if not directory.is_dir():
            raise SpecError([f"no directory {directory}"])
        if not path.exists():
            hint = f"write one with at least [service] name and [run] script:\n\n{_EXAMPLE}"
            raise SpecError([f"no {FILE} in {directory}: {hint}"])
        if not path.is_file():  # to open a FIFO would wait for ever
            raise SpecError([f"{path}: not a regular file"])
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError([f"{path}: cannot be read: {error.strerror}"]) from error
    if len(raw) > MAX_BYTES:
        raise SpecError([f"{path}: larger than 1 MiB ({MAX_BYTES} bytes), the most that is read"])
    try:
        return raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{raw[error.start]:02x} in line {line}"
        raise SpecError([f"{path}: not UTF-8: found {found}; save the file as UTF-8"]) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    """The tables of the file."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SpecError([f"{path}: nested too deeply"]) from error
    except ValueError as error:  # TOMLDecodeError, which names line and column; or a number of thousands of digits
        raise SpecError([f"{path}: not valid TOML: {error}"]) from error


def _tables(struct: type[msgspec.Struct] = model.Spec, plain: str = "service") -> dict[str, dict[str, inspect.Field]]:
    """Table -> key -> field: a struct in `model.Spec` is a table, its plain fields are the table `service`."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    tables: dict[str, dict[str, inspect.Field]] = {plain: {}}
    for field in info.fields:
        if isinstance(field.type, inspect.StructType):
            tables |= _tables(field.type.cls, field.name)
        else:
            tables[plain][field.name] = field
    return tables


_TABLES = _tables()


def _problems(tables: Mapping[str, Any]) -> Iterator[str]:
    """Everything wrong, in the order of the file; then what is missing."""
    for name, table in tables.items():
        if name not in _TABLES:
            what = "table" if isinstance(table, dict) else "key"
            yield _unknown(name, _TABLES, what, f"the tables are {', '.join(_TABLES)}")
        elif not isinstance(table, dict):
            yield f"{name}: found {show(table)}; allowed: a table, [{name}]"
        else:
            yield from _table_problems(name, table)
    for name, keys in _TABLES.items():
        table = tables.get(name, {})
        if isinstance(table, dict):  # what is no table has been told
            for key in keys.values():
                if key.required and key.name not in table:
                    dotted = f"{name}.{key.name}"
                    yield f"{dotted}: missing; write it below [{name}]: {allowed(dotted, key.type)}"


def _table_problems(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Everything wrong in one known table."""
    keys = _TABLES[name]
    for key, found in table.items():
        dotted = f"{name}.{key}"
        if key not in keys:
            yield _unknown(key, keys, "key", f"allowed in [{name}]: {', '.join(keys)}", within=name)
        elif wrong := complaint(dotted, keys[key].type, found):
            yield f"{dotted}: {wrong}"
        elif dotted == "run.env":
            yield from _env_problems(found)
        else:
            yield from wrong_items(dotted, keys[key].type, found)


def _contradictions(tables: Mapping[str, Any]) -> Iterator[str]:
    """What is right by itself and does nothing, or never could, beside the rest."""
    route, balance = tables.get("route", {}), tables.get("balance", {})
    if route.get("strip") and route.get("path", "/") == "/":
        yield 'route.strip: there is nothing to cut off; name what with path = "/..."'
    if {".", ".."} & set(route.get("path", "/").split("/")):
        yield "route.path: no request would fit: clients resolve '.' and '..' before they ask; write where it leads"
    for name in route.get("headers", {}):
        if _OURS.fullmatch(name):
            yield f"route.headers.{quoted(name)}: {_NO_RULE}"
    if "hash_by" in balance and balance.get("policy") != "hash":
        yield 'balance.hash_by: only policy = "hash" reads it; write that, or leave it out'
    for key in ("queue", "queue_wait"):
        if key in balance and not balance.get("max_in_flight"):
            yield f"balance.{key}: nobody waits as long as no instance is full; write max_in_flight, or leave it out"
    if _OURS.fullmatch(balance.get("hash_by", "").removeprefix("header:")):
        yield f"balance.hash_by: {_NO_RULE}"


def _env_problems(env: Mapping[str, Any]) -> Iterator[str]:
    """Everything wrong with the variables."""
    for name, value in env.items():
        dotted = f"run.env.{quoted(name)}"
        if not _ENV_NAME.fullmatch(name):
            yield f"{dotted}: no name of a variable; allowed: letters, digits and '_', the first not a digit"
        elif _RESERVED.fullmatch(name):
            yield f"{dotted}: given by Tucano: PORT, HOST and TUCANO_* cannot be set; take another name"
        elif not isinstance(value, str):
            advice = f': quote it, {name} = "{plain(value)}"' if isinstance(value, bool | int | float) else ""
            yield f"{dotted}: found {show(value)}; allowed: a text{advice}"
        elif wrong := unpassable(f"{name}={value}"):
            yield f"{dotted}: {wrong}"


def _unknown(key: str, known: Iterable[str], what: str, allowed: str, within: str = "") -> str:
    """The complaint about a key or table that does not exist, with what was probably meant."""
    near = {name: name for name in known}
    for table, keys in _TABLES.items():
        if table != within:  # a right key in a wrong table
            near.update({name: f"{table}.{name}" for name in keys if name not in near})
    guesses = difflib.get_close_matches(key[:64], near, n=1)
    hint = f"did you mean {near[guesses[0]]}? " if guesses else ""
    return f"{within and within + '.'}{quoted(key)}: unknown {what}; {hint}{allowed}"
