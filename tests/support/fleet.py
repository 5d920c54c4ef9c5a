"""Agents as the relay knows them: enrolled, and heard of by their pings."""

from dataclasses import dataclass
from typing import Any

from agent.wire.claims import Claims, Tag, TokenId, WorkerName
from agent.wire.messages import Ping
from agent.wire.tokens import token_id
from bridge.relay.ledger import Ledger
from bridge.tokens.model import NewAgentToken
from tests.support.cluster import Running

YEAR_S = 365 * 86_400


@dataclass(frozen=True)
class Site:
    running: Running
    ledger: Ledger
    worker: WorkerName
    token: str

    @property
    def token_id(self) -> TokenId:
        return token_id(self.token)

    async def ping(self, **said: Any) -> None:
        usual = {"held": 0, "running": 0, "backlog": 0, "wall_s": 0.0, "next_s": 10.0}
        self.ledger.presence.note(self.worker, Ping(**usual | said))
        await self.ledger.presence.record()


async def site(running: Running, name: str, *tags: str, group: str = "shops", slots: int = 2) -> Site:
    """One that has enrolled with a token of its own, and was heard of now."""
    exp = int(running.clock.wall_s()) + YEAR_S
    wanted = list(tags) or [f"pos-{name}"]
    token = running.cluster.tokens.mint_agent_token(NewAgentToken(worker_group=group, tags=wanted, exp=exp))
    claims = Claims(
        worker=WorkerName(f"ag-{group}-{name}"),
        worker_group=group,
        tags=frozenset(map(Tag, wanted)),
        expires_s=exp,
        token_id=token_id(token),
    )
    ledger = Ledger(running.store, running.clock)
    await running.cluster.tokens.seen.note(claims)
    await ledger.enrol(claims, "0.1.0", slots, 0, claims.token_id)
    return Site(running, ledger, claims.worker, token)
