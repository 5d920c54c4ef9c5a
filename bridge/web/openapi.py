"""The OpenAPI description, made from the routes and the structs they name."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from starlette.routing import BaseRoute

from bridge.web.described import JSON, TEXT, Described

_REF: Final = "#/components/schemas/{name}"
_ERROR: Final = {
    "description": "What is wrong and how to mend it.",
    "content": {TEXT: {"schema": {"type": "string"}}},
}


def describe(routes: Sequence[BaseRoute], version: str) -> dict[str, Any]:
    """OpenAPI 3.1 of every `Described` route."""
    described = [route for route in routes if isinstance(route, Described)]
    kinds = list(_kinds(described))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schema_of = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        path = re.sub(r":path\}", "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orvanta Edge", "version": version},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _kinds(routes: Sequence[Described]) -> Iterator[Any]:
    for route in routes:
        yield route.gives
        if route.takes is not None:
            yield route.takes


def _operation(route: Described, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"\W+", "_", f"{route.method} {route.path}").strip("_").lower(),
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": {
            str(route.status): {
                "description": "OK",
                "content": {route.media: {"schema": schema_of[repr(route.gives)]}},
            },
            "default": _ERROR,
        },
    }
    if route.is_open:
        operation["security"] = []
    if route.takes is not None:
        operation["requestBody"] = {"content": {JSON: {"schema": schema_of[repr(route.takes)]}}}
    return operation


def _path_parameters(route: Described) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(route: Described) -> Iterator[dict[str, Any]]:
    if route.query is None:
        return
    schema = msgspec.json.schema(route.query)
    (definition,) = schema["$defs"].values()
    for name, field in definition["properties"].items():
        required = name in definition.get("required", ())
        yield {"name": name, "in": "query", "required": required, "schema": field}
