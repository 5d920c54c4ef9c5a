"""Bytes become objects here, and objects bytes: the edge of HTTP where untyped values end."""

import asyncio
import json
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from bridge.errors import BadRequest
from bridge.web.described import JSON

T = TypeVar("T")

BODY_READ_S: Final = 300.0  # a 64 MiB result through a thin line takes minutes


def mended(text: bytes) -> bytes:
    """`text` as strict JSON: lone surrogates, which Python and Node let pass, become `?`, NaN becomes null.

    Raises ValueError when it is not JSON at all.
    """
    try:
        value = json.loads(text, parse_constant=lambda _: None)
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode(errors="replace")
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def strict_json(text: bytes) -> bytes:
    """`text` itself when it is strict JSON, else mended. Raises `BadRequest`."""
    try:
        text.decode()
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            return mended(text)
        except ValueError:
            raise BadRequest(f"the body is not JSON: {error}") from None
    return text


def decoded(text: bytes, kind: type[T]) -> T:
    """`text` as `kind`; unknown fields are ignored. Raises `BadRequest` that names the field at fault."""
    try:
        return msgspec.json.decode(strict_json(text), type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the body does not fit: {error}") from error


async def body_of(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_READ_S):
            return await request.body()
    except TimeoutError:
        raise BadRequest(f"the body did not arrive within {BODY_READ_S:.0f} s") from None


async def typed_body(request: Request, kind: type[T]) -> T:
    return decoded(await body_of(request), kind)


def typed_query(request: Request, kind: type[T]) -> T:
    """The query parameters as `kind`; unknown ones are ignored. Raises `BadRequest`."""
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"a query parameter does not fit: {error}") from error


def raw_json(text: bytes | str, status: int = 200) -> Response:
    """JSON text that somebody else wrote, verbatim."""
    return Response(text, status, media_type=JSON)


def json_reply(value: Any, status: int = 200) -> Response:
    return raw_json(msgspec.json.encode(value), status)


def unit() -> Response:
    """Done, and nothing to say: the four bytes `null`, because clients parse every 2xx as JSON."""
    return raw_json(b"null")


def text_reply(text: str, status: int = 200) -> Response:
    return PlainTextResponse(text, status)
