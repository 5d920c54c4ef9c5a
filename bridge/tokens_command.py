"""`python -m bridge tokens`: what an operator of a relay does about its agents' tokens, while it runs.

Another cluster mints them. A new one is handed to an agent in the answer to its next enrolment, which it is
told over its live link to make: nobody visits the site, and what it holds stays with it.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.clock import SystemClock
from agent.credentials import BadCredential
from agent.credentials import read as read_secret
from agent.logs import Secret
from agent.tls.outbound import Outbound
from agent.wire.claims import Claims, TokenId
from agent.wire.tokens import bearer_of
from bridge.agents.introspection import Introspection, unverified
from bridge.agents.taken import TakenTokens
from bridge.config import outbound_of, upstream_of
from bridge.devices.successors import Successors
from bridge.errors import ConfigError
from bridge.store.connection import open_store
from bridge.store.store import Store
from bridge.trust_command import devices_of, store_in_use
from bridge.upstream import Upstream

Say = Callable[[str], None]
STDIN: Final = "-"
NAMED_MAX: Final = 5  # workers in one message


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows: agents that enrolled, and devices that tokens belong to."""

    agents: Sequence[Mapping[str, Any]]
    devices: Sequence[Mapping[str, Any]]

    @classmethod
    async def of(cls, store: Store) -> "Known":
        return cls(await _successors(store).listed(), await (await devices_of(store)).listed())

    def token_of(self, worker: str) -> TokenId:
        """Raises `ConfigError` when nobody of this name has enrolled."""
        for agent in self.agents:
            if agent["worker"] == worker and agent["token_id"]:
                return TokenId(agent["token_id"])
        raise ConfigError(f"no agent {worker} has enrolled here; see `tokens list`.")

    def why_not(self, worker: str, claims: Claims, *, is_shared: bool) -> str:
        """Why this agent is not to be given the token of these claims; empty when it may be. Pure."""
        old = self.token_of(worker)
        if claims.worker != worker:
            return (
                f"with this token {worker} would become {claims.worker}, and let go of what it holds; "
                "mint one for the same worker_group"
            )
        if claims.token_id == old:
            return f"{worker} has this very token already"
        mine = {one["kid"] for one in self.devices if one["worker"] == worker and one["state"] == "bound"}
        if not mine:
            return f"{worker} has no device key, without which no token is handed over; change it at the site"
        others = [one["worker"] for one in self.agents if one["token_id"] == old and one["worker"] != worker]
        others += [
            one["worker"]
            for one in self.devices
            if one["token_id"] == claims.token_id and one["kid"] not in mine
        ]
        if others and not is_shared:
            named = ", ".join(sorted(set(others))[:NAMED_MAX])
            return (
                f"other agents use the old token or the new one too ({named}); say --shared if they may, "
                "as at a relay with --shared-tokens"
            )
        return ""


def run(asked: argparse.Namespace, env: Mapping[str, str], say: Say) -> int:
    """Prints one JSON document, without a token. The exit code. Raises `ConfigError`, `ClusterDown`."""
    where = store_in_use(env)
    if asked.do == "list":
        does = _listed
    else:
        token, upstream = _token_in(asked.token_file), upstream_of(env)
        rotation = _Rotation(asked.worker, token, upstream, outbound_of(env), is_shared=asked.shared)
        does = rotation.carry_out

    async def done() -> Any:
        store = await open_store(where)
        try:
            return await does(store)
        finally:
            await store.close()

    say(json.dumps(asyncio.run(done())))
    return 0


async def _listed(store: Store) -> Any:
    """Soonest to end first."""
    agents = await _successors(store).listed()
    return sorted(agents, key=lambda one: (one["expires_at"] is None, one["expires_at"], one["worker"]))


@dataclass(frozen=True, slots=True)
class _Rotation:
    worker: str
    token: Secret
    upstream: str
    outbound: Outbound
    is_shared: bool

    async def carry_out(self, store: Store) -> Any:
        known = await Known.of(store)
        old = known.token_of(self.worker)
        bearer = bearer_of(self.token.reveal(), _suffix(known, self.worker))
        claims = unverified(bearer)
        if claims is None:
            raise ConfigError("--token-file: it holds no agent token (jwt_agent_…); copy it whole.")
        if why := known.why_not(self.worker, claims, is_shared=self.is_shared):
            raise ConfigError(f"{why}. Nothing was changed.")
        await self._require_taken(store, bearer)
        await _successors(store).name_for(old, self.token.reveal())
        return {"worker": self.worker, "token": old, "successor": claims.token_id}

    async def _require_taken(self, store: Store, bearer: str) -> None:
        """An agent that is given what its cluster refuses would be lost to everybody but a visitor."""
        clock = SystemClock()
        upstream = Upstream(self.upstream, clock, outbound=self.outbound)
        try:
            if await Introspection(upstream, clock, TakenTokens(store, clock)).verify(bearer) is None:
                raise ConfigError(
                    f"--token-file: {self.upstream} refuses this token, or its exp has passed; mint another. "
                    "Nothing was changed."
                )
        finally:
            await upstream.close()


def _suffix(known: Known, worker: str) -> str:
    """What stands behind its group in the worker's name."""
    group = next(one["worker_group"] for one in known.agents if one["worker"] == worker)
    return worker.removeprefix(f"ag-{group}-")


def _token_in(named: str) -> Secret:
    """Never from the arguments: every user of a machine reads those. Raises `ConfigError`."""
    try:
        text = sys.stdin.read() if named == STDIN else read_secret(Path(named), "--token-file").decode()
    except BadCredential as error:
        raise ConfigError(f"{error}.") from error
    except UnicodeDecodeError:
        raise ConfigError(f"--token-file: {named} holds no text.") from None
    return Secret(text.strip().strip('"'))


def _successors(store: Store) -> Successors:
    return Successors(store, SystemClock(), _outlive)


async def _outlive(_token: str) -> None:
    """No token is ended here."""
