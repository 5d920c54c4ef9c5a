"""GET /livez and /readyz: 503 only when a new start helps, or when requests would fail; and why."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import BaseRoute

from agent.clock import SystemClock
from agent.database import ReadFailed, WriteFailed
from bridge.config import read
from bridge.metrics.families import Standing
from bridge.metrics.figures import REGISTRY
from bridge.metrics.probes import NO_ANSWER, NO_BROKER, NO_STORE, Probes
from bridge.metrics.pulse import SILENT_S, Pulse
from bridge.metrics.standing import Standings
from bridge.metrics.timed import Timed
from bridge.store.leading import Alone
from bridge.web.asgi import build
from bridge.wiring.watching import watching_of
from dev_tools.certificates import ThrowAwayCA
from tests.support.cluster import MovedClock, Running, client_of
from tests.support.until import until

TOKEN = "a-token-for-prometheus"


def standing(*, leads: bool = True, broker_up: bool | None = None) -> Standing:
    return Standing("0", "3", leads=leads, broker_up=broker_up, certificate_ends=None)


class Refusing:
    """A disk or a database that answers no."""

    async def write(self, _work: Callable[[Any], Any]) -> None:
        raise WriteFailed("it is full")

    async def read(self, _work: Callable[[Any], Any]) -> None:
        raise ReadFailed("it is gone")


class Hanging:
    """One that never answers."""

    async def write(self, _work: Callable[[Any], Any]) -> None:
        await asyncio.Event().wait()

    read = write


async def asked(
    store: Any, path: str, now: Standing | None = None, within_s: float = 10.0
) -> tuple[int, dict[str, Any]]:
    clock = SystemClock()
    probes = Probes(store, Pulse(store, clock), lambda: now or standing(), clock, ready_s=within_s)
    routes: list[BaseRoute] = [*probes.all()]
    answer = await client_of(build(routes), None).get(path)
    return answer.status_code, answer.json()


@pytest.mark.on_both_stores
async def test_a_bridge_that_works_is_alive_and_ready(cluster: Running) -> None:
    assert await asked(cluster.store, "/livez") == (200, {"alive": True, "missing": []})
    ready = {"ready": True, "leads": True, "missing": [], "without": []}
    assert await asked(cluster.store, "/readyz") == (200, ready)
    assert (await asked(cluster.store, "/readyz", standing(broker_up=True)))[0] == 200


async def test_a_store_that_refuses_is_not_ready() -> None:
    status, said = await asked(Refusing(), "/readyz")
    assert (status, said["missing"]) == (503, [NO_STORE])


async def test_a_store_that_hangs_is_not_ready_either() -> None:
    assert (await asked(Hanging(), "/readyz", within_s=0.01))[0] == 503


@pytest.mark.parametrize(("store", "lives"), [(Refusing(), True), (Hanging(), False)])
async def test_only_a_writer_that_says_nothing_at_all_is_started_again(store: Any, lives: bool) -> None:  # noqa: FBT001 a case
    clock = MovedClock()
    pulse = Pulse(store, clock)
    probes = client_of(build(Probes(store, pulse, standing, clock).all()), None)
    clock.ahead_s += SILENT_S + 1  # nobody has asked it yet
    assert (await probes.get("/livez")).json() == {"alive": False, "missing": [NO_ANSWER]}
    asking = asyncio.ensure_future(pulse.run())
    if lives:
        await until(lambda: pulse.beats, within_s=10)
    assert (await probes.get("/livez")).status_code == (200 if lives else 503)
    asking.cancel()


async def test_whoever_leads_needs_the_broker(cluster: Running) -> None:
    status, said = await asked(cluster.store, "/readyz", standing(broker_up=False))
    assert (status, said["missing"]) == (503, [NO_BROKER])
    status, said = await asked(cluster.store, "/readyz", standing(leads=False, broker_up=False))
    assert (status, said["without"]) == (200, [NO_BROKER])


async def test_figures_are_told_without_the_store_too() -> None:
    refusing: Any = Timed(Refusing())  # type: ignore[arg-type] # it only refuses
    before = REGISTRY.get_sample_value("orvanta_store_failures_total", {"kind": "read"}) or 0.0
    settings = read({"METRICS_TOKEN": TOKEN}, relay_only=False)
    watching = watching_of(settings, refusing, SystemClock(), Alone(), None)
    answer = await client_of(build(watching.routes), TOKEN).get("/metrics")
    assert answer.status_code == 200
    assert "orvanta_store_up 0.0" in answer.text
    assert "orvanta_agents" not in answer.text
    after = REGISTRY.get_sample_value("orvanta_store_failures_total", {"kind": "read"})
    assert after == before + 1
    with pytest.raises(WriteFailed):
        await refusing.write(lambda _: None)


async def test_the_end_of_the_certificate_is_told(tmp_path: Path) -> None:
    pair = ThrowAwayCA(tmp_path).issue("bridge")
    clock = SystemClock()
    told = Standings(lambda: True, None, pair.cert, clock).now()
    assert told.certificate_ends is not None
    assert told.certificate_ends > clock.wall_s()
    (tmp_path / "torn.pem").write_text("-----BEGIN")
    assert Standings(lambda: True, None, tmp_path / "torn.pem", clock).now().certificate_ends is None


async def test_they_ask_for_no_token_and_their_description_says_so(cluster: Running) -> None:
    routes = Probes(cluster.store, Pulse(cluster.store, cluster.clock), standing, cluster.clock).all()
    description = (await client_of(build(routes), None).get("/api/openapi.json")).json()
    for path in ("/livez", "/readyz"):
        assert description["paths"][path]["get"]["security"] == []
