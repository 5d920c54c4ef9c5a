"""A route that says what it takes and gives, so that the OpenAPI description is made from it."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Endpoint = Callable[[Request], Awaitable[Response]]
Method = Literal["GET", "POST", "PUT", "DELETE"]

JSON = "application/json"
TEXT = "text/plain"


class Described(Route):
    """`takes`, `query` and `gives` are types that msgspec knows; `takes=None` means no body is read.

    `is_open`: no token is asked for.
    """

    def __init__(
        self,
        method: Method,
        path: str,
        endpoint: Endpoint,
        *,
        takes: Any = None,
        query: Any = None,
        gives: Any = Any,
        status: int = 200,
        media: str = JSON,
        max_body_bytes: int | None = None,
        is_open: bool = False,
    ) -> None:
        super().__init__(path, endpoint, methods=[method], max_body_size=max_body_bytes)
        self.method = method
        self.summary = (endpoint.__doc__ or "").strip().split("\n")[0]
        self.takes = takes
        self.query = query
        self.gives = gives
        self.status = status
        self.media = media
        self.is_open = is_open
