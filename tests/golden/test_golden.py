"""What the code says today is what it said when the files beside this were written; and who is older is understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import pytest

from tests.golden import __main__ as command
from tests.golden import examples
from tests.golden.__main__ import extends, read, shape, understood
from tucano.actors.kernel import Message, Note, Refused
from tucano.actors.messages.operations import Request
from tucano.transport import wire
from tucano.transport.link import Kind

KINDS = examples.kinds()
KEPT = read("messages")
REMEDY = "`python -m tests.golden` adds what is new, and refuses what would break other nodes"
OLDER = [(tag, old) for tag, shapes in KEPT.items() for old in shapes]


def test_every_message_that_can_travel_has_its_bytes_kept() -> None:
    assert not KINDS.keys() - KEPT.keys(), f"{REMEDY}; what an actor says to itself only is a Note"
    assert not KEPT.keys() - KINDS.keys(), "other nodes may still say these: keep their classes"


@pytest.mark.parametrize("tag", KINDS)
def test_a_message_has_the_bytes_that_are_kept(tag: str) -> None:
    assert shape(examples.example(KINDS[tag])) == KEPT[tag][-1], REMEDY
    value = examples.codec.decode(tag, bytes.fromhex(KEPT[tag][-1]["hex"]))
    assert value == examples.example(KINDS[tag])


@pytest.mark.parametrize(("tag", "old"), OLDER)
def test_what_an_older_node_says_is_understood(tag: str, old: Any) -> None:
    assert understood(KINDS[tag], old), REMEDY


@pytest.mark.parametrize("tag", KINDS)
def test_fields_that_an_older_node_does_not_know_have_their_defaults(tag: str) -> None:
    kind, said = KINDS[tag], msgpack.unpackb(bytes.fromhex(KEPT[tag][-1]["hex"]))
    late = [field for field in msgspec.structs.fields(kind) if not field.required]
    while late:
        del said[late.pop().name]
        value = examples.codec.decode(tag, msgpack.packb(said))
        assert {name: getattr(value, name) for name in said} == {
            name: getattr(examples.example(kind), name) for name in said
        }
    required = [field.name for field in msgspec.structs.fields(kind) if field.required]
    if required:
        del said[required[-1]]
        with pytest.raises(Refused, match="missing required field"):
            examples.codec.decode(tag, msgpack.packb(said))


@pytest.mark.parametrize(
    ("field", "wrong"), [("replicas", "size"), ("replicas", None), (None, "removed")], ids=["renamed", "other", "gone"]
)
def test_the_command_adds_what_is_new_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str | None, wrong: str | None
) -> None:
    for path in command.PLACE.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(command, "PLACE", tmp_path)
    assert command.renew() == []
    kept = read("messages")
    fields = kept["deployer.Scale/1"][0]["fields"]
    if field is None:
        fields[wrong] = 7
    elif wrong is None:
        fields[field] = 8
    else:
        fields[wrong] = fields.pop(field)
    del kept["deployer.Undeploy/1"]
    (tmp_path / "messages.json").write_text(json.dumps(kept))
    (refused,) = command.renew()
    assert refused.startswith("deployer.Scale/1: a new field comes last and has a default")
    now = read("messages")
    assert now.pop("deployer.Undeploy/1") == KEPT["deployer.Undeploy/1"]
    assert now == kept


def test_the_command_keeps_the_shapes_that_a_message_has_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PLACE", tmp_path)
    (tmp_path / "messages.json").write_text(
        json.dumps({"gateway.ReadArtifact/1": [
            {"fields": {"artifact": "text", "offset": 7}, "hex": "82a86172746966616374a474657874a66f666673657407"}
        ]})
    )  # fmt: skip
    assert command.renew() == []
    older, newer = read("messages")["gateway.ReadArtifact/1"]
    assert older["fields"] == {"artifact": "text", "offset": 7}
    assert newer == KEPT["gateway.ReadArtifact/1"][-1]


def more(value: Any) -> Any:
    """What a newer node may say: a further field wherever there are fields."""
    if isinstance(value, dict):
        return {**{key: more(part) for key, part in value.items()}, "a_newer_nodes": ["field"]}
    return [more(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("tag", KINDS)
def test_fields_that_only_a_newer_node_knows_are_ignored(tag: str) -> None:
    newer = more(msgpack.unpackb(bytes.fromhex(KEPT[tag][-1]["hex"])))
    for run in _tables_of_text(newer):
        run.pop("a_newer_nodes")
    assert examples.codec.decode(tag, msgpack.packb(newer)) == examples.example(KINDS[tag])


_OWN = ("env", "headers", "unheard")


def _tables_of_text(value: Any) -> list[dict[str, Any]]:
    """The maps in a message that are no fields but a service's own: its environment, and what is like that."""
    if isinstance(value, list):
        return [found for part in value for found in _tables_of_text(part)]
    if not isinstance(value, dict):
        return []
    mine = [part for key, part in value.items() if key in _OWN and isinstance(part, dict)]
    return mine + [found for key, part in value.items() if key not in _OWN for found in _tables_of_text(part)]


def test_a_field_that_is_added_last_with_a_default_is_the_one_change_that_is_taken() -> None:
    assert extends({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 2}})
    for other in ({"b": 1, "a": 1}, {"a": 2}, {}, {"a": 1, "b": [1]}):
        assert not extends(other, {"a": 1, "b": [1, 2]})


def test_a_letter_of_each_kind_has_the_bytes_that_are_kept() -> None:
    kept, letters = read("letters"), examples.letters()
    assert list(kept) == list(letters) == [kind.name for kind in Kind]
    for name, letter in letters.items():
        assert wire.encode([letter]).hex() == kept[name]
        assert wire.decode(bytes.fromhex(kept[name])) == [letter]


def test_a_newer_nodes_longer_letter_is_read_as_far_as_it_is_known() -> None:
    for name, raw in read("letters").items():
        (fields,) = msgpack.unpackb(bytes.fromhex(raw))
        assert wire.decode(msgpack.packb([[*fields, "more"]])) == [examples.letters()[name]]


def test_what_clients_and_the_gateway_say_has_the_bytes_that_are_kept() -> None:
    kept = read("clients")
    assert {name: frame.hex() for name, frame in examples.clients().items()} == kept
    request = msgspec.msgpack.decode(bytes.fromhex(kept["request"]), type=Request)
    assert (request.v, request.id, request.op) == (1, 3, "scale")


class Newer(Message, frozen=True):
    VERSION = 2


class Remark(Note, frozen=True):
    pass


def test_a_newer_version_of_a_message_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refused, match=r"deployer\.Scale/2 .* knows version 1.*upgrade") as refused:
        examples.codec.decode("deployer.Scale/2", b"\x80")
    assert refused.value.code == "not_understood"
    with pytest.raises(Refused, match=r"knows version 2.*the other node"):
        examples.codec.decode(Newer.TAG.replace("/2", "/1"), b"\x80")


def test_what_an_actor_says_to_itself_does_not_come_from_elsewhere() -> None:
    with pytest.raises(Refused, match="no message is called"):
        examples.codec.decode(Remark.TAG, b"\x80")
    assert not [tag for tag in KINDS if tag.endswith("Due/1")]
