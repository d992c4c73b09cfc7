"""One example of each thing that travels, made from its type: the same at each run."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any, cast

import msgspec
from msgspec import inspect

import tucano.actors.messages
from tucano.actors.kernel import Down, Message, Ref, Refused
from tucano.actors.kernel.message import Codec
from tucano.actors.messages.model import Event
from tucano.actors.pure import requests
from tucano.transport.link import Kind, Letter

for found in pkgutil.iter_modules(tucano.actors.messages.__path__):
    importlib.import_module(f"tucano.actors.messages.{found.name}")

_TEXTS = ("text", "hello", "a" * 64, "0123456789abcdef", "/healthz", "ip")


def _ref(address: str) -> Ref:
    """An address that leads nowhere: nothing is said to it."""
    return Ref(cast(Any, None), *address.split("/", 1))


codec = Codec(to_wire=lambda ref: ref.address, from_wire=lambda _, address: _ref(address))


def kinds(base: type[Message] = Message) -> dict[str, type[Message]]:
    """All of the product's messages that travel, by tag."""
    found = {}
    for kind in base.__subclasses__():
        if kind.__module__.startswith("tucano.actors.") and kind.TRAVELS:
            found[kind.TAG] = kind
        found |= kinds(kind)
    return dict(sorted(found.items()))


def example(kind: type[msgspec.Struct]) -> Any:
    """A value of a type, with something in each field."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return kind(**{field.name: _value(field.type) for field in info.fields})


def _value(kind: inspect.Type) -> Any:
    match kind:
        case inspect.StructType(cls=struct):
            return example(struct)
        case inspect.BoolType():
            return True
        case inspect.IntType(ge=low):
            return max(7, low or 0)
        case inspect.FloatType():
            return 0.5
        case inspect.BytesType():
            return b"bytes"
        case inspect.AnyType():
            return "anything"
        case inspect.LiteralType(values=values):
            return values[-1]
        case inspect.StrType(pattern=pattern, min_length=low):
            return next(
                text for text in _TEXTS if len(text) >= (low or 0) and (not pattern or re.search(pattern, text))
            )
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return (_value(item),)
        case inspect.TupleType(item_types=items):
            return tuple(_value(item) for item in items)
        case inspect.DictType(key_type=key, value_type=value):
            return {_value(key): _value(value)}
        case inspect.UnionType(types=types):
            return _value(next(one for one in types if not isinstance(one, inspect.NoneType)))
        case inspect.CustomType(cls=cls) if cls is Ref:
            return _ref("controller/deployer")
        case _:
            raise NotImplementedError(f"say in tests/golden/examples.py what an example of {kind} is")


def plain(value: Any) -> Any:
    """A message's fields, as JSON has them; bytes are base64."""
    return msgspec.json.decode(msgspec.json.encode(value, enc_hook=lambda ref: ref.address))


def letters() -> dict[str, Letter]:
    """A letter of each kind, as the kernel fills it."""
    tag, body = codec.encode(example(kinds()["deployer.Scale/1"]))
    down, gone = codec.encode(example(Down))
    said, trace = msgspec.Raw(body), "0123456789abcdef:worker-1.18bcfe56800.7::tell"
    refusal = msgspec.Raw(msgspec.msgpack.encode(("not_found", "controller/nobody: no actor has that name")))
    watcher, seven = "worker-1/supervisor", msgspec.Raw(b"\x07")
    return {
        kind.name: letter
        for kind, letter in {
            Kind.BEAT: Letter(Kind.BEAT),
            Kind.TELL: Letter(Kind.TELL, "deployer", watcher, 0, 0, tag, said, trace),
            Kind.ASK: Letter(Kind.ASK, "deployer", watcher, 7, 1500, tag, said, trace),
            Kind.ANSWER: Letter(Kind.ANSWER, "", "", 7, 0, "", seven, trace),
            Kind.REFUSAL: Letter(Kind.REFUSAL, "", "", 7, 0, "", refusal, trace),
            Kind.WATCH: Letter(Kind.WATCH, "discovery", watcher),
            Kind.UNWATCH: Letter(Kind.UNWATCH, "discovery", watcher),
            Kind.DOWN: Letter(Kind.DOWN, "supervisor", "text", 0, 0, down, msgspec.Raw(gone)),
            Kind.BYE: Letter(Kind.BYE),
            Kind.STOP: Letter(Kind.STOP, "deployer", "", 7, 1500),
            Kind.TAKEN: Letter(Kind.TAKEN, id=1_700_000_000_000, tag="the name worker-1 is taken"),
        }.items()
    }


def clients() -> dict[str, bytes]:
    """The frames between clients and the gateway."""
    event = Event(7, 0.5, "instance_ready", "hello-1", "on worker-1")
    request = {"v": 1, "id": 3, "op": "scale", "args": {"name": "hello", "replicas": 2}}
    return {
        "request": msgspec.msgpack.encode(request),
        "answer": requests.answer(3, {"service": "hello", "revision": 1, "trace": "0123456789abcdef"}),
        "answer with bytes": requests.answer(3, {"data": b"out\n", "next": 4}),
        "error": requests.answer(3, Refused("not_found", "no service is called 'hello'")),
        "item": requests.item(3, {"events": [event]}),
    }
