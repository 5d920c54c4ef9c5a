"""/audit: what was done with a superadmin's rights, newest first, and whether the chain is whole."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.audit.service import Audit, Entry
from bridge.pages.site import Site
from bridge.tokens.model import Identity
from bridge.web.bodies import typed_query

PER_PAGE: Final = 50


class Asked(Struct, frozen=True):
    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1

    @property
    def per_page(self) -> int:
        return PER_PAGE


class AuditPages:
    def __init__(self, site: Site, audit: Audit) -> None:
        self._site = site
        self._audit = audit

    def routes(self) -> list[Route]:
        return [self._site.page("/audit", self._listed), self._site.page("/audit/verify", self._verify)]

    async def _listed(self, request: Request, who: Identity) -> Response:
        asked = typed_query(request, Asked)
        entries = await self._audit.listed(asked)
        values = {
            "entries": [(entry, _told(entry)) for entry in entries],
            "page": asked.page,
            "may_have_more": len(entries) == PER_PAGE,
        }
        return self._site.render(request, "audit.html", who, values)

    async def _verify(self, request: Request, who: Identity) -> Response:
        """The whole chain is read, so only when somebody asks."""
        return self._site.over(request, "_verified.html", who, {"checked": await self._audit.checked()})


def _told(entry: Entry) -> str:
    """What was asked for, as a person reads it."""
    return ", ".join(
        f"{name} {text if isinstance(text, str) else msgspec.json.encode(text).decode()}"
        for name, text in entry.parameters.items()
        if text not in (None, "", False)
    )
