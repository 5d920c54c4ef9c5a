"""`python -m agent doctor`: what an operator would look at, in the order in which it breaks.

It changes nothing, at the site or at the cluster, and works while the agent runs and while it does not.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent import config, status
from agent.config import Settings
from agent.errors import AgentError, ConfigError
from agent.executor.account import Account
from agent.executor.process import Interpreters
from agent.link.link import LinkKind
from agent.policy import Policy
from agent.progress import span
from agent.site import login
from agent.site.checks import Check, Verdict, fail, failed, ok, warn
from agent.site.disk import account_check, folder_check, space_check, speed_check
from agent.site.known import Known, clock_offset_s, known
from agent.site.network import proxy_for, way_to
from agent.site.programs import languages_check, program_checks
from agent.spool.budget import Bounds
from agent.spool.key_note import opened
from agent.spool.wiping import NOTE as REVOKED
from agent.wire.tokens import token_id

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the agent would be started with."""

    env: Mapping[str, str]
    spool: Path
    slots: int | None = None
    user: str | None = None
    policy: Path | None = None


async def examine(asked: Asked) -> list[Check]:
    """Every check that can be made; one that fails keeps only those from being made that need it."""
    checks: list[Check] = []
    settings = _kept(checks, "settings", lambda: config.read(asked.env, asked.spool, asked.slots, None))
    if settings is not None:
        checks += [ok("settings", f"whole, for {settings.base_url}"), login.token_check(settings.token)]
    account = _user(asked, checks)
    policy = _policy(asked, checks)
    checks += await asyncio.to_thread(_of_this_machine, asked, settings, account, policy)
    if settings is None:
        checks.append(warn("cluster", "not tried without settings", "give this the agent's environment"))
        return [*checks, login.clock_check(clock_offset_s(asked.spool))]
    return checks + await _of_the_network(settings)


def _kept(checks: list[Check], name: str, read: Callable[[], T]) -> T | None:
    """What was read; None when it cannot be, and a check says why."""
    try:
        return read()
    except (ConfigError, OSError) as error:
        checks.append(failed(name, error))
        return None


def _user(asked: Asked, checks: list[Check]) -> Account | None:
    name = asked.user
    if name is None:
        return None
    account = _kept(checks, "user", lambda: config.account_of(name))
    if account is not None:
        checks.append(account_check(account, asked.spool))
    return account


def _policy(asked: Asked, checks: list[Check]) -> Policy:
    path = asked.policy
    policy = Policy() if path is None else _kept(checks, "policy", lambda: config.site_policy(path))
    if policy is not None and path is not None:
        languages = "all languages" if policy.languages is None else ", ".join(policy.languages) or "nothing"
        checks.append(ok("policy", f"{path} allows {languages}"))
    return policy or Policy()


def _of_this_machine(
    asked: Asked, settings: Settings | None, account: Account | None, policy: Policy
) -> list[Check]:
    bounds = Bounds() if settings is None else settings.bounds
    used_mb, seen = _seen(asked.spool)
    found = Interpreters.found(asked.env.get("BASH_PATH"), asked.env.get("PYTHON_PATH"))
    return [
        folder_check(asked.spool),
        *([] if settings is None else _spool_of(settings)),
        space_check(asked.spool, bounds, used_mb),
        speed_check(asked.spool),
        *program_checks(found, policy, account),
        *([] if settings is None else [languages_check(settings.repertoire)]),
        *seen,
    ]


def _spool_of(settings: Settings) -> list[Check]:
    """Whether this agent may open the spool: with this key, and with this token."""
    checks: list[Check] = []
    seal, path = settings.seal, settings.spool
    try:
        opened(path, seal)
    except AgentError as error:
        checks.append(failed("spool key", error))
    else:
        checks.append(
            ok("spool key", f"seals with {seal.key_id}" if seal.key_id else "none: nothing is sealed")
        )
    with suppress(OSError):  # none was revoked
        if (path / REVOKED).read_text().strip() == token_id(settings.token.reveal()):
            checks.append(fail("revoked", "this token was taken away, and the spool wiped", "mint a new one"))
    return checks


def _seen(spool: Path) -> tuple[float, list[Check]]:
    """What the spool uses (MB), and what it says of its agent."""
    try:
        if not (spool / "spool.db").exists():
            return 0.0, [warn("agent", "has not been started with this spool", "start it")]
        seen = status.read(spool)
    except (AgentError, OSError) as error:
        return 0.0, [failed("agent", error)]
    checks = [_agent(seen)]
    if seen["agent"] == "running" and (seen["link"] != "up" or seen["link_reason"]):
        why = seen["link_reason"] or "no reason is known"
        said = f"{seen['link']} for {span(seen['link_since_s'] or 0)}: {why}"
        checks.append(warn("link", said, "see the checks of cluster and broker; work goes on meanwhile"))
    if seen["spool"].get("fault"):
        mend = "check its health (dmesg, smartctl) and its room"
        checks.append(warn("disk", f"refused: {seen['spool']['fault']}", mend))
    if seen["quarantined"]:
        said = f"{seen['quarantined']} damaged rows are set aside"
        checks.append(warn("quarantine", said, "look at them: python -m agent spool ls --state quarantine"))
    return float(seen["spool"]["used_mb"]), checks


def _agent(seen: dict[str, object]) -> Check:
    said = f"{seen['agent']}, {seen['backlog']} results wait to leave"
    if seen["agent"] == "running":
        return ok("agent", said)
    return warn("agent", said, "start it")


async def _of_the_network(settings: Settings) -> list[Check]:
    """Cluster and broker side by side: on a dead network each hop takes as long as it may."""
    try:
        mine = await asyncio.to_thread(known, settings.spool, settings.token, settings.seal)
    except AgentError as error:
        return [failed("spool key", error)]
    async with asyncio.TaskGroup() as group:
        cluster = group.create_task(_cluster(settings, mine), name="cluster")
        broker = group.create_task(_broker(settings, mine), name="broker")
    return [_proxy(settings), *cluster.result(), *broker.result()]


def _proxy(settings: Settings) -> Check:
    proxy = proxy_for(settings.base_url, settings.outbound)
    if proxy is None:
        return ok("proxy", "none is set for the cluster")
    from agent.tls.dial import shown  # noqa: PLC0415 a word for most

    return ok("proxy", f"the way to the cluster is by {shown(proxy)} (HTTPS_PROXY, NO_PROXY)")


async def _cluster(settings: Settings, mine: Known) -> list[Check]:
    offset_s = await asyncio.to_thread(clock_offset_s, settings.spool)
    checks = await way_to("cluster", settings.base_url, settings.outbound)
    if checks[-1].verdict is not Verdict.FAIL:
        answered = await login.cluster_login(settings.base_url, mine, settings.slots, settings.outbound)
        checks.append(answered.check)
        offset_s = offset_s if answered.clock_offset_s is None else answered.clock_offset_s
    return [*checks, login.clock_check(offset_s)]


async def _broker(settings: Settings, mine: Known) -> list[Check]:
    if mine.enrolment is None:
        return [
            warn(
                "broker",
                f"not tried: {mine.why_none}",
                "mend the other checks, and start the agent with a link once",
            )
        ]
    if mine.enrolment.link is not LinkKind.AMQP:
        return [ok("broker", "none: the link is over HTTP")]
    checks = await way_to("broker", mine.enrolment.amqp_url, settings.outbound)
    if checks[-1].verdict is not Verdict.FAIL:
        checks.append(await login.broker_login(mine, settings.outbound))
    return checks
