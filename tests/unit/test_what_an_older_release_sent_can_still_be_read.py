"""The frozen vectors of every wire version decode for ever (DESIGN section 4).

`tests/vectors/v<N>.json` is what release N sent, byte for byte. A file that has been released is never
written again; a new field gets a new file, with the messages that carry it.
"""

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest

from agent.compression import decompress
from agent.trust import Keyring, key_id
from agent.wire import proofs
from agent.wire.claims import WorkerName
from agent.wire.envelope import INTRODUCED, require_signed, unpack, unseal
from agent.wire.errors import BadSignature
from agent.wire.messages import KINDS

FILES: Final = sorted((Path(__file__).parent.parent / "vectors").glob("v*.json"))
VECTORS: Final[list[dict[str, Any]]] = [one for file in FILES for one in json.loads(file.read_text())]
PROOFS: Final = json.loads((Path(__file__).parent.parent / "vectors" / "proofs-v1.json").read_text())
SIGNED: Final = [one for one in VECTORS if "headers" in one]


def fields_of(frozen: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) and "base64" in value else value
        for name, value in frozen["fields"].items()
    }


def stated_by(vector: dict[str, Any]) -> bytes:
    """What its signature covers: what is told to one agent names it."""
    body = body_of(vector)
    return proofs.told(vector["told_to"], body) if "told_to" in vector else body


def body_of(vector: dict[str, Any]) -> bytes:
    return unseal(base64.b64decode(vector["body"]), vector.get("content_encoding"), decompress)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_it_is_read_as_it_was_meant(vector: dict[str, Any]) -> None:
    read = unpack(body_of(vector))
    assert [message.KIND for message in read] == [frozen["kind"] for frozen in vector["messages"]]
    for message, frozen in zip(read, vector["messages"], strict=True):
        now, then = asdict(message), fields_of(frozen)
        assert {name: now[name] for name in then} == then  # a field of a later release has its default


def test_every_kind_has_a_vector() -> None:
    assert {frozen["kind"] for vector in VECTORS for frozen in vector["messages"]} == set(KINDS)


@pytest.mark.parametrize("vector", SIGNED, ids=lambda vector: vector["name"])
def test_its_signature_still_holds_and_for_nothing_else(vector: dict[str, Any]) -> None:
    headers = vector["headers"]
    ring = Keyring({vector.get("trusted", headers["kid"]): base64.b64decode(vector["public_key"])})
    ring.learn(headers.get(INTRODUCED, "").split())
    stated = stated_by(vector)
    require_signed(stated, headers, ring.verify, "message")
    other = proofs.told(WorkerName("ag-pos-till-b"), body_of(vector))
    for changed in (stated[:-1] + bytes([stated[-1] ^ 1]), other):
        with pytest.raises(BadSignature):
            require_signed(changed, headers, ring.verify, "message")


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof["kind"])
def test_a_proof_still_holds_and_for_nothing_else(proof: dict[str, Any]) -> None:
    public = base64.b64decode(proof["public_key"])
    ring = Keyring({key_id(public): public})
    stated = {
        "enrolment": proofs.enrolment,
        "pulled": lambda worker, request_id, body: proofs.pulled(worker, request_id, body.encode()),
        "result": proofs.result,
    }[proof["kind"]]
    kid, signature = proofs.read_signature(proof["signature"])
    assert ring.verify(kid, signature, stated(*proof["stated"]))
    for number, text in enumerate(proof["stated"]):
        changed = [*proof["stated"][:number], text + "x", *proof["stated"][number + 1 :]]
        assert not ring.verify(kid, signature, stated(*changed))
