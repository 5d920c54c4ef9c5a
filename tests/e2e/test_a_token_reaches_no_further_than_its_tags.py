"""I4 at the broker: with one site's token, all that is not that site's is refused by the broker itself."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import aio_pika
import httpx
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from agent.wire.claims import Claims, Tag, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Accepted, Log, Rejected, Result
from agent.wire.routing import (
    CANARY,
    CONTROL,
    DEAD,
    EVENTS,
    JOBS,
    LOGS,
    PINGS,
    RESULTS,
    UP,
    UP_KINDS,
    control_queue,
    job_queue,
    up_key,
)
from agent.wire.tokens import split_login
from bridge.agents.static_users import StaticUsers
from bridge.store.connection import open_store
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.places import ROOT
from tests.support.intruder import Intruder, Try, is_refusal
from tests.support.mail import next_letter
from tests.support.world import World, environment, opened_world

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release, pytest.mark.asyncio(loop_scope="module")]

OWN: Final = WorkerName("ag-near-thief")
OWN_TAG: Final = Tag("near")
OTHERS_TAG: Final = Tag("far")
REFUSED: Final = 97  # what docs/security.md says


@dataclass(frozen=True)
class Scene:
    """A world with two sites; the intruder has the token of the near one."""

    world: World
    intruder: Intruder
    other: WorkerName  # the agent at the far site
    job: str  # is in the far site's custody, and runs


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> AsyncIterator[Scene]:
    async with opened_world(tmp_path_factory.mktemp("intruder"), broker) as world:
        far = await world.agent(OTHERS_TAG)
        token = world.cluster.token(OWN_TAG, group="near")
        _enrol(world, token)
        job = world.cluster.submit("sleep 600", OTHERS_TAG)
        await world.cluster.running(job)
        intruder = Intruder(world.amqp_url, OWN, token)
        yield Scene(world, intruder, WorkerName(far.status()["worker"]), job)
        await intruder.leave()


def _enrol(world: World, token: str) -> None:
    """So that its queues are there."""
    bearer = f"jwt_agent_thief_{token.removeprefix('jwt_agent_')}"
    enrolled = httpx.post(
        f"{world.bridge.url}/api/agent_workers/enroll",
        json={"version": "0", "slots": 1},
        headers={"Authorization": f"Bearer {bearer}"},
    )
    enrolled.raise_for_status()
    assert "@" not in enrolled.json()["amqp_url"], "the bridge's own account is nobody else's"


def of_queue(name: str) -> dict[str, Try]:
    """All that can be done to a queue."""

    def on(act: Callable[[AbstractQueue], Awaitable[object]]) -> Try:
        async def tried(channel: AbstractChannel) -> None:
            await act(await channel.get_queue(name, ensure=False))

        return tried

    async def arrived(_: AbstractIncomingMessage) -> None: ...

    return {
        "consume": on(lambda queue: queue.consume(arrived)),
        "get": on(lambda queue: queue.get(fail=False)),
        "purge": on(lambda queue: queue.purge()),
        "delete": on(lambda queue: queue.delete(if_unused=False, if_empty=False)),
        "bind": on(lambda queue: queue.bind(JOBS, "#")),
        "unbind": on(lambda queue: queue.unbind(JOBS, f"*.{OTHERS_TAG}")),
        "declare": lambda channel: channel.declare_queue(name, durable=True),
        "write past all exchanges": lambda channel: channel.default_exchange.publish(
            aio_pika.Message(b"x"), name
        ),
    }


def writing(exchange: str, key: str, **about: Any) -> Try:
    async def write(channel: AbstractChannel) -> None:
        target = await channel.get_exchange(exchange, ensure=False)
        await target.publish(aio_pika.Message(b"x", **about), key)

    return write


def of_exchange(name: str) -> dict[str, Try]:
    async def declare(channel: AbstractChannel) -> None:
        await channel.declare_exchange(name, "topic", durable=True)

    async def delete(channel: AbstractChannel) -> None:
        await channel.exchange_delete(name)

    async def bind(channel: AbstractChannel) -> None:
        own = await channel.get_queue(job_queue(OWN_TAG), ensure=False)
        await own.bind(name, "#")

    return {one.__name__: one for one in (declare, delete, bind)}


def forbidden(scene: Scene) -> dict[tuple[str, str], Try]:
    """(kind, what) → how to try it."""
    queues = {
        "the queue of another tag": job_queue(OTHERS_TAG),
        "the control queue of another agent": control_queue(scene.other),
        **{f"the bridge's own queue {name}": name for name in (RESULTS, EVENTS, PINGS, LOGS, DEAD)},
        "a queue that is not there": "orvanta.jobs.nowhere",
    }
    tries: dict[tuple[str, str], Try] = {
        (kind, f"{what}: {kind}"): how
        for kind, name in queues.items()
        for what, how in of_queue(name).items()
    }
    tries["a queue that is not there", "declare one that the broker names"] = lambda channel: (
        channel.declare_queue(exclusive=True)
    )
    for what, how in of_queue(job_queue(OWN_TAG)).items():
        if what not in ("consume", "get", "purge"):  # whoever may take its jobs may take all of them
            tries["the queue of its own tag", what] = how
    for exchange in (JOBS, UP, CONTROL, DEAD):
        for what, how in of_exchange(exchange).items():
            tries["an exchange", f"{what} {exchange}"] = how
    for kind in UP_KINDS:
        tries["the key of another agent", kind] = writing(UP, up_key(kind, scene.other))
    tries["a key that is nobody's", "order.own"] = writing(UP, up_key("order", OWN))
    tries["a key that is nobody's", "no words"] = writing(UP, "result")
    for exchange, key in ((JOBS, f"main.{OWN_TAG}"), (CONTROL, control_queue(OWN)), (DEAD, "")):
        tries["an exchange that the bridge writes", exchange] = writing(exchange, key)
    for claimed in (scene.other, str(OWN), "orvanta", f"{scene.other}@0123456789abcdef"):
        tries["user_id", claimed] = writing(UP, up_key("event", OWN), user_id=claimed)
    return tries


async def not_refused(intruder: Intruder, tries: dict[tuple[str, str], Try]) -> dict[tuple[str, str], str]:
    said = {what: await intruder.attempt(how) for what, how in tries.items()}
    return {what: answer for what, answer in said.items() if not is_refusal(answer)}


async def test_what_it_tries_is_refused_by_the_broker(scene: Scene, record_property: Any) -> None:
    tries = forbidden(scene)
    assert await not_refused(scene.intruder, tries) == {}
    record_property("refused", dict(Counter(kind for kind, _ in tries)))
    assert len(tries) == REFUSED


def _permissions(world: World) -> str:
    return subprocess.run(
        [sys.executable, "-m", "bridge", "broker", "permissions"],
        env=environment(world.bridge.settings), cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


async def test_static_permissions_refuse_the_same(scene: Scene, broker: Broker) -> None:
    """`python -m bridge broker permissions`, for a broker that cannot ask."""
    own, world = scene.intruder, scene.world
    told = _permissions(world)
    store = await open_store(Path(world.bridge.settings["BRIDGE_STORE"]))
    claims = Claims(OWN, "near", frozenset({OWN_TAG}), 2**40, split_login(own.login)[1])
    address = urlsplit((await StaticUsers.open(store)).address(world.amqp_url, claims))
    await store.close()
    assert unquote(address.username or "") == own.login
    assert address.password is not None
    assert address.password not in told
    async with httpx.AsyncClient(base_url=f"{broker.management_url}/api") as management:
        definitions = json.loads(told)
        (await management.post("/definitions", json=definitions)).raise_for_status()
        static = Intruder(world.amqp_url, OWN, "", login=own.login, password=address.password)
        try:
            assert await not_refused(static, forbidden(scene)) == {}
            assert await static.attempt(of_queue(job_queue(OWN_TAG))["consume"]) == ""
            assert await static.attempt(writing(UP, up_key("result", OWN), user_id=own.login)) == ""
        finally:
            for one in (static, own):  # the broker ends the connections of a user that is deleted
                await one.leave()
            for user in definitions["users"]:
                await management.delete(f"/users/{quote(user['name'], safe='')}")


async def test_its_own_place_is_open_to_it(scene: Scene) -> None:
    """So that what is refused above is refused for its own sake."""
    own = scene.intruder
    assert await own.attempt(of_queue(job_queue(OWN_TAG))["consume"]) == ""
    assert await own.attempt(of_queue(control_queue(OWN))["consume"]) == ""
    written = [
        await own.attempt(writing(UP, up_key(kind, OWN), user_id=own.login, expiration=1))
        for kind in UP_KINDS
        if kind != CANARY
    ]
    assert set(written) == {""}


async def test_while_the_bridge_is_away_who_is_there_goes_on_and_nobody_comes(
    scene: Scene, broker: Broker
) -> None:
    own, world = scene.intruder, scene.world
    goes_on = {
        "takes": of_queue(job_queue(OWN_TAG))["consume"],
        "tells": writing(UP, up_key("event", OWN), user_id=own.login),
    }
    assert [await own.attempt(how) for how in goes_on.values()] == ["", ""]
    assert broker.bridges is not None
    broker.bridges.forget(world.amqp_url)
    try:
        assert "ACCESS_REFUSED" in await own.log_in()
        assert [await own.attempt(how) for how in goes_on.values()] == ["", ""]
    finally:
        broker.bridges.add(world.amqp_url, world.bridge.url)
    assert await own.log_in() == ""


async def test_it_gets_in_nowhere_else(scene: Scene, broker: Broker) -> None:
    token = scene.world.cluster.token(OWN_TAG, group="near")
    amqp_url = scene.world.amqp_url
    with fresh_vhost(broker) as another:
        refusals = {
            "another virtual host": await scene.intruder.log_in(urlsplit(another).path),
            "the usual virtual host": await scene.intruder.log_in("/%2F"),
            "another agent's name": await Intruder(
                amqp_url, OWN, token, login=scene.intruder.login.replace("thief", "other")
            ).log_in(),
            "another token's name": await Intruder(
                amqp_url, OWN, token, login=f"{scene.other}@0123456789abcdef"
            ).log_in(),
            "the bare name": await Intruder(amqp_url, OWN, token, login=OWN).log_in(),
            "an administrator's name": await Intruder(amqp_url, OWN, token, login="orvanta").log_in(),
            "a token of another cluster": await Intruder(amqp_url, OWN, _forged(token)).log_in(),
        }
    assert [what for what, said in refusals.items() if not said] == []
    assert broker.management_url is not None
    parts = urlsplit(broker.management_url)
    async with httpx.AsyncClient(
        base_url=f"http://{parts.hostname}:{parts.port}/api",
        auth=(scene.intruder.login, scene.intruder.password),
    ) as management:
        for path in ("/whoami", "/queues", "/connections", "/users", "/definitions"):
            assert (await management.get(path)).status_code == httpx.codes.UNAUTHORIZED, path


def _forged(token: str) -> str:
    head, payload, signature = token.split(".")
    return f"{head}.{payload}.{signature[::-1]}"


async def test_what_it_says_of_anothers_job_changes_nothing(scene: Scene) -> None:
    """Under its own name, which the broker lets pass: the bridge refuses it."""
    about = {"job_id": scene.job, "attempt": 1}
    said = {
        "result": Result(**about, workspace="main", success=True, document=b'"forged"'),
        "event": Accepted(**about),
        "log": Log(**about, offset=0, text="forged"),
    }
    async with await scene.intruder.connect() as connection:
        channel = await connection.channel()
        up = await channel.get_exchange(UP, ensure=False)
        for kind, message in [*said.items(), ("event", Rejected(**about, reason="forged", body=b"forged"))]:
            body = pack([message])
            await up.publish(aio_pika.Message(body, user_id=scene.intruder.login), up_key(kind, OWN))
        # without its name on it, the message has no sender
        await up.publish(aio_pika.Message(pack([said["result"]])), up_key("result", OWN))
    awaited = {
        "a result of a job that is not this agent's", "forged", "the broker does not vouch for its sender",
    }  # fmt: skip
    while awaited:  # what the other tests wrote lies there too
        awaited.discard(str((await next_letter(scene.world))["reason"]))
    (row,) = scene.world.cluster.attempts(scene.job)
    assert (row["state"], row["custodian"]) == ("accepted", scene.other)
    assert "forged" not in scene.world.cluster.logs(scene.job)
