"""The link that an enrolment names. What it is made of is imported then: it is most of an idle agent."""

import socket
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from agent.clock import SystemClock
from agent.config import Settings
from agent.link.http.holdings import Holdings
from agent.link.link import Enrolment, Link, LinkKind
from agent.logs import Secret
from agent.spool.credentials import Credentials
from agent.tls.outbound import is_in_clear
from agent.wire.tokens import bearer_of, with_ticket

if TYPE_CHECKING:
    from agent.link.http import link as http
    from agent.link.http.offering import Offering

log = structlog.get_logger()


class Links:
    """Opens the link that an enrolment names. What it is made of is imported then: most of an idle agent."""

    def __init__(
        self, settings: Settings, credentials: Credentials, suffix: str, languages: Sequence[str]
    ) -> None:
        self._base_url = settings.base_url
        self._outbound = settings.outbound
        self._credentials = credentials
        self._suffix = suffix
        self._languages = languages
        self._over_http: http.Links | None = None
        self._offering: Offering | None = None
        self._warned: set[str] = set()
        self._warn_once(settings.base_url)

    def connect(self, enrolment: Enrolment, holdings: Holdings) -> AbstractAsyncContextManager[Link]:
        if enrolment.link is LinkKind.AMQP:
            from agent.link import amqp  # noqa: PLC0415 see above

            self._warn_once(enrolment.amqp_url)
            mine = self._credentials
            bearer = with_ticket(bearer_of(mine.token.reveal(), self._suffix), enrolment.ticket)
            return amqp.connect(enrolment, Secret(bearer), self._outbound, mine.device)
        if self._over_http is None:
            from agent.link.http.link import Links  # noqa: PLC0415 see above

            mine = self._credentials
            self._over_http = Links(
                self._base_url,
                lambda: mine.token,
                self._suffix,
                socket.gethostname(),
                holdings,
                self._outbound,
                mine.device,
                self._languages,
            )
        return self._over_http.connect(enrolment)

    async def offer(self, enrolment: Enrolment, holdings: Holdings) -> None:
        """Implements `Offer`."""
        mine = self._credentials
        if self._offering is None:
            from agent.link.http.offering import Offering  # noqa: PLC0415 see above

            self._offering = Offering(
                self._base_url, self._suffix, holdings, self._outbound, SystemClock(), mine.device
            )
        await self._offering.offer(enrolment, mine.token)

    def _warn_once(self, url: str) -> None:
        """Of an address where the token and every job can be read on the way."""
        about = f"{urlsplit(url).scheme}://{urlsplit(url).hostname}"
        if is_in_clear(url) and about not in self._warned:
            self._warned.add(about)
            log.warning("link.in_clear", address=about, mend="let it end in TLS: https://, amqps://")
