"""What is wrong with a value of `tucano.toml`, in words for its author. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import msgspec
from msgspec import inspect

MAX_ARGUMENT = 131_071
"""Bytes of one argument or `NAME=value`: MAX_ARG_STRLEN of execve(2) on Linux, less the closing NUL."""

_IN_WORDS = {
    "service.name": "1 to 40 of a-z, 0-9 and '-', the first a letter, the last not '-' (it stands in host names)",
    "health.http": 'a path such as "/healthz": "/" first, ASCII without spaces, at most 1024 characters',
    "run.env": 'a table of texts, such as { GREETING = "hi" }',
    "route.hosts": 'a list of at most 64 host names in lower case, such as ["www.example.org", "*.example.org"]',
    "route.path": 'a path such as "/api": "/" first, no query, ASCII without spaces, at most 1024 characters',
    "route.port": "a whole number from 1024 to 65535",
    "route.headers": 'a table of at most 16 texts, such as { X-Beta = "yes" }',
    "route.headers.*": "a text of 1 to 512 visible ASCII characters, with spaces only between them",
    "balance.hash_by": '"ip", "path", "header:NAME" or "cookie:NAME"',
    "balance.sticky": 'the name of a cookie, such as "session"',
}
"""What is allowed where the bare type or pattern would not help a person; `.*`: for each value of a table."""

_NAMES = {"route.headers": "no name of a header; allowed: letters, digits and !#$%&'*+-.^_`|~, at most 64"}
"""What is said of a name in a table whose names have a pattern."""


def complaint(dotted: str, kind: inspect.Type, found: object) -> str | None:
    """What is wrong with the value of a key, or None."""
    fits, complain = False, f"found {show(found)}; allowed: {allowed(dotted, kind)}"
    match kind:
        case inspect.BoolType():
            fits = isinstance(found, bool)
        case inspect.LiteralType(values=values):
            fits = isinstance(found, str) and found in values
        case inspect.IntType(ge=int(low), le=int(high)):
            fits = isinstance(found, int) and not isinstance(found, bool) and low <= found <= high
        case inspect.FloatType(gt=low, le=high) if low is not None and high is not None:
            # Of NaN nothing holds, and infinity is above every bound.
            fits = isinstance(found, int | float) and not isinstance(found, bool) and low < found <= high
        case inspect.FloatType(ge=low, le=high) if low is not None and high is not None:
            fits = isinstance(found, int | float) and not isinstance(found, bool) and low <= found <= high
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            if isinstance(found, str) and (wrong := unpassable(found)):
                return wrong
            fits = (
                isinstance(found, str)
                and len(found) <= (high or MAX_ARGUMENT)
                and (not low or bool(found.strip()))  # a script of blanks is as empty as one of nothing
                and (pattern is None or re.fullmatch(pattern, found) is not None)
            )
        case inspect.DictType(max_length=most):
            fits = isinstance(found, dict) and (most is None or len(found) <= most)
        case inspect.VarTupleType(max_length=most):
            fits = isinstance(found, list) and (most is None or len(found) <= most)
        case inspect.UnionType(types=types):  # of one type and None, which TOML cannot say
            return complaint(dotted, next(one for one in types if not isinstance(one, inspect.NoneType)), found)
        case _:
            raise NotImplementedError(f"{dotted}: {kind}")
    return None if fits else complain


def allowed(dotted: str, kind: inspect.Type) -> str:
    """What may stand there, in words."""
    match kind:
        case _ if dotted in _IN_WORDS:
            return _IN_WORDS[dotted]
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return " or ".join(f'"{value}"' for value in sorted(map(str, values)))
        case inspect.FloatType(ge=low, le=high) if low is not None:
            return f"a number of seconds from {low:g} to {high:g}"
        case inspect.FloatType(le=high):
            return f"a number of seconds above 0 and up to {high:g}"
        case inspect.StrType(min_length=low, max_length=high):
            return f"a text of {'' if low else 'at most '}{'1 to ' if low else ''}{high} characters"
        case _:
            raise NotImplementedError(f"{dotted}: {kind}")


def wrong_items(dotted: str, kind: inspect.Type, found: object) -> Iterator[str]:
    """Everything wrong with the members of a list, or with the names and values of a table, that is one itself."""
    match kind, found:
        case inspect.VarTupleType(item_type=inner), list():
            for number, item in enumerate(found):
                if wrong := complaint(dotted, inner, item):
                    yield f"{dotted}[{number}]: {wrong}"
        case inspect.DictType(key_type=names, value_type=values), dict() if dotted in _NAMES:
            for name, value in found.items():
                if complaint(dotted, names, name):
                    yield f"{dotted}.{quoted(name)}: {_NAMES[dotted]}"
                elif wrong := complaint(f"{dotted}.*", values, value):
                    yield f"{dotted}.{quoted(name)}: {wrong}"
        case _:
            return


def unpassable(text: str) -> str | None:
    """Why a text cannot be handed to a process, or None."""
    if "\0" in text:
        return "found a NUL character (\\u0000), which no process can be given; remove it"
    size = len(text.encode())
    if size > MAX_ARGUMENT:
        return f"found {size} bytes; allowed: at most {MAX_ARGUMENT}, what Linux passes to a process"
    return None


def show(found: object) -> str:
    """A value as its author would know it again."""
    match found:
        case bool():
            return f"{plain(found)} (true or false, no number)"
        case float() if math.isfinite(found):
            return f"{found} (a number with a fraction)"
        case int() | float():
            return plain(found)
        case str():
            return _short(found) if found.strip() else "an empty text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"  # all else that TOML knows


def plain(found: bool | int | float) -> str:
    """A number or truth as TOML writes it."""
    if isinstance(found, bool):
        return str(found).lower()
    # Python itself refuses to write a whole number of thousands of digits.
    return "a number of more than 18 digits" if isinstance(found, int) and abs(found) >= 10**18 else str(found)


def _short(text: str) -> str:
    """A text in quotes, on one line, not too long to be read."""
    return msgspec.json.encode(text if len(text) <= 60 else f"{text[:60]}...").decode()


def quoted(key: str) -> str:
    """A key as TOML writes it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else _short(key)
