"""Reads `tucano.toml`: what a service's owner wrote, into the `model.Spec` that the cluster understands.

Tables, keys, types and bounds are read from `model.Spec` itself, so there is one place that says what is allowed. Here
it is only put into words: file, key, what was found, what is allowed, what was probably meant; all problems at once.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from tucano.actors.messages import model

FILE = "tucano.toml"
"""The name of the file, in the directory of the service."""

MAX_BYTES = 1 << 20
"""Size of the file at most: far above any real one, small enough to be parsed in a moment."""

MAX_PROBLEMS = 20
"""Problems that are told at once; of more, only the number."""

MAX_ARGUMENT = 131_071
"""Bytes of one argument or `NAME=value`: MAX_ARG_STRLEN of execve(2) on Linux, less the closing NUL."""

_EXAMPLE = """\
    [service]
    name = "hello"
    [run]
    script = "python3 app.py"
"""

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = re.compile(r"PORT|HOST|TUCANO_.*")

_IN_WORDS = {
    "service.name": "1 to 40 of a-z, 0-9 and '-', the first a letter, the last not '-' (it stands in host names)",
    "health.http": 'a path such as "/healthz": "/" first, ASCII without spaces, at most 1024 characters',
    "run.env": 'a table of texts, such as { GREETING = "hi" }',
    "route.port": "a whole number from 1024 to 65535",
}
"""What is allowed where the bare type or pattern would not help a person."""


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
    wanted = {**tables["service"], **{name: table for name, table in tables.items() if name != "service"}}
    try:
        return msgspec.convert(wanted, model.Spec)
    except msgspec.ValidationError as error:  # the last word, should the words above ever know less than the model
        raise SpecError([f"{path}: {error}"]) from error


def override(spec: model.Spec, *, replicas: int | None) -> model.Spec:
    """The spec with what the command line says instead; `None` changes nothing.

    Raises:
        SpecError: the number of replicas is not allowed.

    """
    if replicas is None:
        return spec
    if complaint := _complaint("service.replicas", _TABLES["service"]["replicas"].type, replicas):
        raise SpecError([f"replicas: {complaint}"])
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
            yield f"{name}: found {_show(table)}; allowed: a table, [{name}]"
        else:
            yield from _table_problems(name, table)
    for name, keys in _TABLES.items():
        table = tables.get(name, {})
        if isinstance(table, dict):  # what is no table has been told
            for key in keys.values():
                if key.required and key.name not in table:
                    dotted = f"{name}.{key.name}"
                    yield f"{dotted}: missing; write it below [{name}]: {_allowed(dotted, key.type)}"


def _table_problems(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Everything wrong in one known table."""
    keys = _TABLES[name]
    for key, found in table.items():
        dotted = f"{name}.{key}"
        if key not in keys:
            yield _unknown(key, keys, "key", f"allowed in [{name}]: {', '.join(keys)}", within=name)
        elif complaint := _complaint(dotted, keys[key].type, found):
            yield f"{dotted}: {complaint}"
        elif dotted == "run.env":
            yield from _env_problems(found)
    if name == "route" and (table.get("protocol") == "tcp") != ("port" in table):
        yield f"route.port: {'not allowed here' if 'port' in table else 'missing'}; {model.PORT_RULE}"


def _env_problems(env: Mapping[str, Any]) -> Iterator[str]:
    """Everything wrong with the variables."""
    for name, value in env.items():
        dotted = f"run.env.{_key(name)}"
        if not _ENV_NAME.fullmatch(name):
            yield f"{dotted}: no name of a variable; allowed: letters, digits and '_', the first not a digit"
        elif _RESERVED.fullmatch(name):
            yield f"{dotted}: given by Tucano: PORT, HOST and TUCANO_* cannot be set; take another name"
        elif not isinstance(value, str):
            quoted = f': quote it, {name} = "{_plain(value)}"' if isinstance(value, bool | int | float) else ""
            yield f"{dotted}: found {_show(value)}; allowed: a text{quoted}"
        elif complaint := _unpassable(f"{name}={value}"):
            yield f"{dotted}: {complaint}"


def _unknown(key: str, known: Iterable[str], what: str, allowed: str, within: str = "") -> str:
    """The complaint about a key or table that does not exist, with what was probably meant."""
    near = {name: name for name in known}
    for table, keys in _TABLES.items():
        if table != within:  # a right key in a wrong table
            near.update({name: f"{table}.{name}" for name in keys if name not in near})
    guesses = difflib.get_close_matches(key[:64], near, n=1)
    hint = f"did you mean {near[guesses[0]]}? " if guesses else ""
    return f"{within and within + '.'}{_key(key)}: unknown {what}; {hint}{allowed}"


def _complaint(dotted: str, kind: inspect.Type, found: object) -> str | None:
    """What is wrong with the value of a key, or None."""
    fits, complain = False, f"found {_show(found)}; allowed: {_allowed(dotted, kind)}"
    match kind:
        case inspect.IntType(ge=int(low), le=int(high)):
            fits = isinstance(found, int) and not isinstance(found, bool) and low <= found <= high
        case inspect.FloatType(gt=low, le=high) if low is not None and high is not None:
            # Of NaN nothing holds, and infinity is above every bound.
            fits = isinstance(found, int | float) and not isinstance(found, bool) and low < found <= high
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            if isinstance(found, str) and (wrong := _unpassable(found)):
                return wrong
            fits = (
                isinstance(found, str)
                and len(found) <= (high or MAX_BYTES)
                and (not low or bool(found.strip()))  # a script of blanks is as empty as one of nothing
                and (pattern is None or re.fullmatch(pattern, found) is not None)
            )
        case inspect.DictType():
            fits = isinstance(found, dict)
        case inspect.BoolType():
            fits = isinstance(found, bool)
        case inspect.LiteralType(values=values):
            fits = found in values
        case inspect.UnionType(types=types):  # of one type and None, which TOML cannot say
            return _complaint(dotted, next(one for one in types if not isinstance(one, inspect.NoneType)), found)
        case _:
            raise NotImplementedError(f"{dotted}: {kind}")
    return None if fits else complain


def _allowed(dotted: str, kind: inspect.Type) -> str:
    """What may stand there, in words."""
    match kind:
        case _ if dotted in _IN_WORDS:
            return _IN_WORDS[dotted]
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(le=high):
            return f"a number of seconds above 0 and up to {high:g}"
        case inspect.StrType(min_length=low, max_length=high):
            return f"a text of {'' if low else 'at most '}{'1 to ' if low else ''}{high} characters"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return " or ".join(f'"{value}"' for value in values)
        case _:
            raise NotImplementedError(f"{dotted}: {kind}")


def _unpassable(text: str) -> str | None:
    """Why a text cannot be handed to a process, or None."""
    if "\0" in text:
        return "found a NUL character (\\u0000), which no process can be given; remove it"
    size = len(text.encode())
    if size > MAX_ARGUMENT:
        return f"found {size} bytes; allowed: at most {MAX_ARGUMENT}, what Linux passes to a process"
    return None


def _show(found: object) -> str:
    """A value as its author would know it again."""
    match found:
        case bool():
            return f"{_plain(found)} (true or false, no number)"
        case float() if math.isfinite(found):
            return f"{found} (a number with a fraction)"
        case int() | float():
            return _plain(found)
        case str():
            return _short(found) if found.strip() else "an empty text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"  # all else that TOML knows


def _plain(found: bool | int | float) -> str:
    """A number or truth as TOML writes it."""
    if isinstance(found, bool):
        return str(found).lower()
    # Python itself refuses to write a whole number of thousands of digits.
    return "a number of more than 18 digits" if isinstance(found, int) and abs(found) >= 10**18 else str(found)


def _short(text: str) -> str:
    """A text in quotes, on one line, not too long to be read."""
    return msgspec.json.encode(text if len(text) <= 60 else f"{text[:60]}...").decode()


def _key(key: str) -> str:
    """A key as TOML writes it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else _short(key)
