from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tucano.actors.kernel import Refused
from tucano.actors.messages.operations import Deploy, Operation, Ping, Trace
from tucano.actors.messages.supervisor import LogChunk
from tucano.actors.pure import requests
from tucano.actors.pure.pending import Asker, Pending, all_good, the_one


def frame(**request: Any) -> bytes:
    return msgpack.packb({"v": 1, "id": 3, **request})


def test_a_request_is_its_number_and_its_operation() -> None:
    assert requests.read(frame(op="trace", args={"id": "5f0c" * 4})) == (3, Trace("5f0c" * 4))


def test_an_id_of_no_conversation_is_refused_at_the_door_in_words() -> None:
    for wrong in ("", "5f0c", "5F0C" * 4, "5f0c" * 4 + "\n", "../../etc/passwd"):
        number, refused = requests.read(frame(op="trace", args={"id": wrong}))
        assert isinstance(refused, Refused)
        assert (number, refused.code) == (3, "bad_request")
        assert "16 lower-case hexadecimal digits" in str(refused)


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ({"name": "a", "run": {"script": "x", "shell": "zsh"}}, "spec.run.shell"),
        ({"name": "a", "run": {"script": "x"}, "secret": {}}, "spec.secret"),
    ],
)
def test_a_key_of_a_spec_that_nobody_knows_is_refused_by_its_name(spec: dict[str, Any], key: str) -> None:
    _, refused = requests.read(frame(op="deploy", args={"spec": spec, "artifact": "a" * 64, "size": 1}))
    assert isinstance(refused, Refused)
    assert refused.code == "bad_request"
    assert f"`{key}` is not known here" in str(refused)


def test_the_variables_of_a_spec_are_its_owners_and_all_are_known() -> None:
    spec = {"name": "a", "run": {"script": "x", "env": {"ANY": "thing"}}}
    _, wanted = requests.read(frame(op="deploy", args={"spec": spec, "artifact": "a" * 64, "size": 1}))
    assert isinstance(wanted, Deploy)
    assert wanted.spec.run.env == {"ANY": "thing"}


@given(st.one_of(st.binary(max_size=200), st.builds(msgpack.packb, st.dictionaries(st.text(), st.integers(-9, 9)))))
def test_anything_may_be_in_a_frame(raw: bytes) -> None:
    number, wanted = requests.read(raw)
    assert isinstance(number, int)
    assert isinstance(wanted, Operation | Refused)


def test_answers_are_maps_and_bytes_stay_bytes() -> None:
    assert msgpack.unpackb(requests.answer(3, LogChunk(b"\xff\n", 2))) == {
        "id": 3,
        "ok": {"data": b"\xff\n", "next": 2},
    }
    assert msgpack.unpackb(requests.answer(3, Refused("conflict", "not now"))) == {
        "id": 3, "error": {"code": "conflict", "message": "not now"},
    }  # fmt: skip
    assert msgpack.unpackb(requests.item(4, {"events": []})) == {"id": 4, "item": {"events": []}}
    assert requests.read(frame(op="ping")) == (3, Ping())


ASKER = Asker((b"client",), 3)


def test_a_question_to_several_is_complete_when_the_last_has_answered_or_refused() -> None:
    pending = Pending(ASKER, 3, all_good(sorted))
    for answer in (2, Refused("unreachable", "gone")):
        pending.take(answer)
        assert not pending.is_complete
    pending.take(1)
    assert pending.is_complete
    assert pending.result() == [1, 2]


def test_a_question_to_one_is_answered_with_its_answer_or_its_refusal() -> None:
    refused = Refused("conflict", "not now")
    for answer, told in ((2, 20), (refused, refused)):
        pending = Pending(ASKER, 1, the_one(lambda number: number * 10))
        pending.take(answer)
        assert pending.result() == told


def test_answers_in_which_nothing_is_found_are_a_refusal() -> None:
    def refuse(_: list[Any]) -> Any:
        raise Refused("not_found", "nobody knows it")

    pending = Pending(ASKER, 1, all_good(refuse))
    pending.take(1)
    assert (pending.result().code, pending.asker) == ("not_found", ASKER)
