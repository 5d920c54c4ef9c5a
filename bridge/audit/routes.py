"""The audit log for superadmins."""

from typing import Annotated

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.audit.service import Audit, Checked, Entry
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, typed_query
from bridge.web.described import Described


class Page(Struct):
    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 100


class AuditRoutes:
    def __init__(self, audit: Audit, gate: Gate) -> None:
        self._audit = audit
        self._gate = gate

    def all(self) -> list[Described]:
        return [
            Described("GET", "/api/audit/list", self.listed, query=Page, gives=list[Entry]),
            Described("GET", "/api/audit/verify", self.verify, gives=Checked),
        ]

    async def listed(self, request: Request) -> Response:
        """What superadmins did, newest first; superadmins only."""
        await self._gate.superadmin(request)
        return json_reply(await self._audit.listed(typed_query(request, Page)))

    async def verify(self, request: Request) -> Response:
        """Whether each entry follows from those before it; superadmins only."""
        await self._gate.superadmin(request)
        return json_reply(await self._audit.checked())


def routes(audit: Audit, gate: Gate) -> list[Described]:
    return AuditRoutes(audit, gate).all()
