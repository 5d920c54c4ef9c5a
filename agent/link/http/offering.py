"""What is left to an agent whose token is refused: its late results wait in the cluster's quarantine.

The cluster answers 401 to each, and says beside it how the result stands. The spool keeps every one until an
operator has decided, or until the link is back and it goes the usual way.
"""

from typing import Final

import structlog

from agent.clock import Clock
from agent.link.http.api import Api, client_for
from agent.link.http.holdings import Holdings, Key
from agent.link.http.origins import Origin, Origins
from agent.link.http.uplink import signature_of, whole_body
from agent.link.link import Enrolment
from agent.logs import Secret
from agent.tls.outbound import Outbound
from agent.trust import SigningKey
from agent.wire.agent_api import around_result
from agent.wire.messages import Result
from agent.wire.quarantine import DECIDED, KEPT, WANTED
from agent.wire.tokens import bearer_of, with_ticket

AGAIN_S: Final = 3600.0  # how often the cluster is asked whether an operator has decided

log = structlog.get_logger()


class Offering:
    """Outlives the lives of the link: what was offered is not brought a second time within the hour."""

    def __init__(
        self,
        base_url: str,
        suffix: str,
        holdings: Holdings,
        outbound: Outbound,
        clock: Clock,
        device: SigningKey | None = None,
    ) -> None:
        """`device`: signs each result; without one none is signed."""
        self._base_url = base_url
        self._suffix = suffix
        self._holdings = holdings
        self._outbound = outbound
        self._clock = clock
        self._device = device
        self._origins = Origins(holdings)
        self._not_before_s: dict[Key, float] = {}  # monotonic

    async def offer(self, enrolment: Enrolment, token: Secret) -> None:
        """Each finished result, until the cluster takes no more now. Raises `LinkDown`."""
        ended = dict.fromkeys(await self._holdings.ended())
        self._not_before_s = {key: at_s for key, at_s in self._not_before_s.items() if key in ended}
        now_s = self._clock.monotonic_s()
        due = [key for key in ended if self._not_before_s.get(key, now_s) <= now_s]
        if not due:
            return
        bearer = with_ticket(bearer_of(token.reveal(), self._suffix), enrolment.ticket)
        async with client_for(self._base_url, bearer, self._outbound) as client:
            api = Api(client, self._outbound)
            for key in due:
                if not await self._one(api, key):
                    return

    async def _one(self, api: Api, key: Key) -> bool:
        """Whether there is a point in going on with the next."""
        result = await self._holdings.result(key)
        if result is not None:
            origin = await self._origins.of(key) or Origin(result.workspace)
            standing = await api.ask_quarantine(origin.workspace, key)
            if standing == WANTED:
                standing = await self._bring(api, origin, result)
            elif not standing:
                return False
            if standing in DECIDED:
                log.info("result.decided", job_id=key[0], attempt=key[1], decision=standing)
                await self._holdings.let_go([key])
        self._not_before_s[key] = self._clock.monotonic_s() + AGAIN_S
        return True

    async def _bring(self, api: Api, origin: Origin, result: Result) -> str:
        before, after = around_result(origin.record, origin.token, result)
        key = (result.job_id, result.attempt)
        signature = await signature_of(
            self._device, result.job_id, whole_body(self._holdings, before, result, after)
        )
        body = whole_body(self._holdings, before, result, after)
        standing = await api.offer_result(origin.workspace, key, body, signature)
        if standing == KEPT:
            log.info("result.in_quarantine", job_id=key[0], attempt=key[1])
        return standing
