"""A browser's session: the person's token in a cookie that no script reads and no other site can use."""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from bridge.errors import PermissionDenied

PLAIN_NAME: Final = "orvanta"
# The prefix has browsers refuse it from a subdomain or over plain HTTP (RFC 6265bis 4.1.3).
SECURE_NAME: Final = "__Host-orvanta"
SAFE: Final = ("GET", "HEAD", "OPTIONS")


def token_in(request: Request) -> str | None:
    """The session's token, if there is one. Raises `PermissionDenied` when another site makes it speak."""
    token = request.cookies.get(_name(request))
    if token is not None and request.method not in SAFE:
        refuse_other_sites(request)
    return token


def refuse_other_sites(request: Request) -> None:
    """A browser says which site a request comes from; who is no browser says nothing, and has no session."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        same = site in ("same-origin", "none")
    else:
        same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not same:
        raise PermissionDenied("another site sent this; open the page here, or send a bearer token")


def begin(request: Request, response: Response, token: str, life_s: float) -> None:
    secure = _is_secure(request)
    response.set_cookie(
        _name(request), token, max_age=int(life_s), httponly=True, samesite="strict", secure=secure
    )


def end(request: Request, response: Response) -> None:
    response.delete_cookie(_name(request), httponly=True, samesite="strict", secure=_is_secure(request))


def _name(request: Request) -> str:
    return SECURE_NAME if _is_secure(request) else PLAIN_NAME


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
