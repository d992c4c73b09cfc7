"""The page of the wire, and the README's part of it, say what the code does."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import get_args

import pytest

import tucano.transport
from tests.golden import examples
from tucano.actors.kernel import Down, errors
from tucano.actors.messages import model, operations
from tucano.actors.messages.worker_mgr import Hello
from tucano.client import answers
from tucano.token import Token
from tucano.transport.detector import Detector
from tucano.transport.link import LANES, Kind, Letter
from tucano.transport.security import Role

ROOT = Path(__file__).parents[2]
PAGE = tucano.transport.__doc__ or ""
README = (ROOT / "README.md").read_text()
UNITS = {"": 1, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def section(name: str, text: str = PAGE, sign: str = "# ") -> str:
    """The part of a page below a heading."""
    return text.partition(f"\n{sign}{name}\n")[2].partition(f"\n{sign}")[0]


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the table whose head begins so."""
    lines = text[text.index(f"| {heading} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:] if line.startswith("|")]


def names(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def fields(text: str) -> set[str]:
    """The names in the innermost braces."""
    return set(re.split(r", ", re.findall(r"\{([^{}]*)\}", text)[-1]))


@pytest.mark.parametrize("row", table(PAGE, "what"), ids=lambda row: row[2])
def test_a_limit_is_that_of_the_code(row: list[str]) -> None:
    _, figure, where = row
    module, _, constant = where.strip("`").rpartition(".")
    number, _, unit = figure.replace(",", "").partition(" ")
    assert getattr(importlib.import_module(f"tucano.{module}"), constant) == float(number) * UNITS[unit]


def test_the_detectors_sum_is_that_of_the_code() -> None:
    defaults = {name: one.default for name, one in inspect.signature(Detector).parameters.items()}
    assert f"`{defaults['factor']:g} * mean + {defaults['deviations']} * deviation`" in PAGE
    assert (defaults["floor"], defaults["ceiling"]) == (2.0, 10.0)


def test_the_kinds_and_lanes_are_those_of_the_code() -> None:
    said = {int(number): name for number, name, *_ in table(PAGE, "kind")}
    assert said == {int(kind): kind.name.lower() for kind in Kind}
    assert [row[0].strip("`") for row in table(PAGE, "lane")] == list(LANES)
    said_in_readme = re.search(r"\| `kind` \| (.*) \|", README)
    assert said_in_readme is not None
    pairs = (one.split(" ", 1) for one in said_in_readme[1].split(", "))
    assert {int(number): name.replace("name ", "") for number, name in pairs} == said


def test_a_letter_has_the_fields_of_the_code_in_their_order() -> None:
    said = re.search(r"here in brackets: `\[(.*)\]`", PAGE)
    assert said is not None
    assert [field.split(" ")[0] for field in said[1].split(", ")] == list(Letter.__struct_fields__)


def test_the_operations_and_their_arguments_are_those_of_the_code() -> None:
    here = {row[0].strip("`"): names(row[1]) for row in table(PAGE, "op")}
    assert here == {op: set(kind.__struct_fields__) for op, kind in operations.OPERATIONS.items()}
    readme = {row[0]: names(re.sub(r"\(.*?\)", "", row[1])) for row in table(README, "op")}
    told = {op: args for ops, args in readme.items() for op in names(ops)}
    assert told == here


def test_the_answers_have_the_fields_of_the_code() -> None:
    ok = {row[0].strip("`"): row[2] for row in table(PAGE, "op")}
    for op, kind in (
        ("nodes", answers.NodeInfo), ("services", answers.ServiceInfo), ("events", model.Event),
        ("scale", answers.Accepted), ("deploy", answers.Accepted), ("logs", answers.LogChunk),
    ):  # fmt: skip
        assert fields(ok[op]) == set(kind.__struct_fields__), op
    further = set(answers.ServiceDetail.__struct_fields__) - set(answers.ServiceInfo.__struct_fields__)
    assert fields(ok["show"]) == further
    ports = re.search(r"\*Users' ports\* in `status` are (.*)", PAGE)
    assert ports is not None
    assert set(answers.StatusInfo.__struct_fields__) <= fields(ok["status"]) | names(ports[1])
    service = re.search(r"A \*service\* of `traffic` is `\{(.*?)\}`", PAGE, re.DOTALL)
    assert service is not None
    assert re.split(r",\s+", service[1]) == list(answers.TrafficInfo.__struct_fields__)
    instance = re.search(r"An \*instance\* of `show` is `\{(.*?)\}`", PAGE)
    assert instance is not None
    assert set(instance[1].split(", ")) == set(answers.InstanceInfo.__struct_fields__)


def test_every_code_that_is_used_is_explained_and_no_other() -> None:
    said = {code for row in table(PAGE, "code") for code in names(row[0])}
    used = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)}
    for path in (ROOT / "actors").rglob("*.py"):
        used |= set(re.findall(r"(?:Refused|BadRequest|refuse)\(\s*\"(\w+)\"", path.read_text()))
    assert said == used
    of_clients = {code for row in table(PAGE, "code") if row[1] != "nodes" for code in names(row[0])}
    readme = section("The wire for clients", README, "## ").partition("Error codes:")[2].partition("\n\n")[0]
    assert names(readme) == of_clients


def test_keys_and_roles_are_those_of_the_code() -> None:
    told = section("Security")
    assert set(Token.__struct_fields__) <= names(told)
    assert set(get_args(Role)) <= names(told)


@pytest.mark.parametrize("message", [Hello])
def test_a_message_that_is_named_is_one_of_the_code(message: type[Hello]) -> None:
    tags = set(re.findall(r"`(\w+\.\w+/\d)`", PAGE))
    assert message.TAG in tags
    assert tags <= {*examples.kinds(), Down.TAG}  # which has a kind of letter of its own


def test_the_readmes_figures_are_those_of_the_page() -> None:
    told = section("The wire between nodes", README, "## ") + section("The wire for clients", README, "## ")
    figures = {figure.replace(" s", "") for _, figure, _ in table(PAGE, "what")}
    for number in re.findall(r"\b(\d[\d,.]* (?:MiB|KiB|GiB))\b", told):
        assert number in figures, number


def test_the_client_in_node_uses_nothing_that_is_not_on_the_page() -> None:
    source = "".join(path.read_text() for path in sorted((ROOT / "examples" / "node_client").glob("*.mjs")))
    asked = set(re.findall(r"(?:ask|look)\(\"(\w+)\"|showJson\(\"(\w+)\"|#send\(id, \"(\w+)\"", source))
    told = {row[0].strip("`") for row in table(PAGE, "op")}
    assert {op for found in asked for op in found if op} <= told
    read = set(re.findall(r"\b(?:answer|shown|piece|token|event|one|service)\.([a-z_]+)\b(?!\()", source))
    words = set(re.findall(r"\w+", PAGE))
    assert read - {"message", "length"} <= words
