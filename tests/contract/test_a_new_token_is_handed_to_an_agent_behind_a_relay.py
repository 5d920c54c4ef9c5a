"""`python -m bridge tokens`: another cluster's token is replaced without a visit, and by one that holds."""

import asyncio
import io
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.errors import DeviceRefused
from agent.link.enrol import enrol_by
from agent.link.link import Enrolment
from agent.logs import Secret
from agent.trust import SigningKey
from agent.wire.tokens import token_id
from bridge.__main__ import main
from bridge.agents.enrol import Enrolments
from bridge.agents.introspection import Introspection
from bridge.agents.static_users import without_login
from bridge.agents.taken import TakenTokens
from bridge.devices.service import Devices, Rules
from bridge.devices.successors import Successors
from bridge.relay.ledger import Ledger
from bridge.relay.signer import Signer
from bridge.store.connection import OnServer, open_store
from bridge.store.statements import Statement
from bridge.store.store import Store
from bridge.tokens.seen import SeenTokens
from bridge.upstream import Upstream
from bridge.web.asgi import build
from tests.support.cluster import BASE_URL, client_of
from tests.support.fake_cluster.server import FakeCluster, Trouble, fake_cluster

pytestmark = pytest.mark.on_both_stores

NORTH, SOUTH = "ag-relay-north", "ag-relay-south"
SOON_S = 7200
ALL_SUCCESSORS = Statement(*2 * ("SELECT * FROM token_successor",))


@dataclass
class Relay:
    fake: FakeCluster
    store: Store
    enrolments: Enrolments
    ledger: Ledger
    folder: Path
    devices: dict[str, SigningKey] = field(default_factory=dict)
    exp: int = field(default_factory=lambda: int(time.time()) + SOON_S)

    def minted(self, group: str = "relay") -> str:
        """Each is another one."""
        self.exp += 1
        return self.fake.api.token("bash", group=group, exp=self.exp)

    async def come(self, worker: str, token: str, *, has_key: bool = True) -> Enrolment:
        """An agent enrols."""
        device = self.devices.setdefault(worker, SigningKey.made()) if has_key else None
        about = {"version": "0", "slots": 1}
        async with client_of(build(self.enrolments.routes()), None) as client:
            suffix = worker.rpartition("-")[2]
            return await enrol_by(client, BASE_URL, Secret(token), suffix, about, device=device)

    async def rotate(self, worker: str, token: str, *more: str) -> tuple[int, str]:
        """By a file. The exit code, and what was said."""
        file = self.folder / "token"
        file.write_text(f"{token}\n")
        file.chmod(0o600)
        return await command("rotate", worker, "--token-file", str(file), *more)

    async def told(self) -> set[str]:
        """Whom the relay tells over its link to enrol again."""
        return set((await self.ledger.renewals(10))[1])


async def command(*words: str) -> tuple[int, str]:
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(said):
        code = await asyncio.to_thread(main, ["tokens", *words])
    return code, said.getvalue()


async def listed() -> dict[str, Any]:
    return {one["worker"]: one for one in json.loads((await command("list"))[1])}


@pytest.fixture
async def relay(
    store_place: Path | OnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Relay]:
    async def nothing(*_about: object) -> None:
        """The broker is there; another cluster's token is not ours to end."""

    place = store_place / "bridge.db" if isinstance(store_place, Path) else store_place
    async with fake_cluster() as fake:
        store, clock = await open_store(place), SystemClock()
        upstream = Upstream(fake.url, clock)
        verify = Introspection(upstream, clock, TakenTokens(store, clock)).verify
        seen, ledger = SeenTokens(store, clock), Ledger(store, clock)
        devices = await Devices.open(store, clock, verify, seen.note, Rules())
        enrolments = Enrolments(
            ledger, devices, Successors(store, clock, nothing), nothing, await Signer.load(ledger),
            "amqp://broker.test/", without_login, clock=clock, admissions_per_s=10_000,
        )  # fmt: skip
        if isinstance(place, Path):
            monkeypatch.setenv("BRIDGE_STORE", str(place))
        else:
            monkeypatch.setenv("DATABASE_URL", place.url.reveal())
            monkeypatch.setenv("STORE_KEY_FILE", str(place.key_path))
        monkeypatch.setenv("BASE_INTERNAL_URL", fake.url)
        yield Relay(fake, store, enrolments, ledger, tmp_path)
        await upstream.close()
        await store.close()


async def test_the_agent_that_is_named_is_told_takes_it_over_and_no_other(relay: Relay) -> None:
    old, new, others = relay.minted(), relay.minted(), relay.minted()
    await relay.come(NORTH, old)
    await relay.come(SOUTH, others)
    code, said = await relay.rotate(NORTH, new)
    assert code == 0, said
    assert json.loads(said) == {"worker": NORTH, "token": token_id(old), "successor": token_id(new)}
    assert await relay.told() == {NORTH}
    assert [(await listed())[worker]["successor"] for worker in (NORTH, SOUTH)] == [token_id(new), None]
    assert (await relay.come(SOUTH, others)).token == ""
    assert (await relay.come(NORTH, old)).token == new
    assert (await relay.come(NORTH, new)).worker == NORTH
    north = (await listed())[NORTH]
    assert (north["token_id"], north["successor"]) == (token_id(new), None)
    kept = await relay.store.read(lambda db: db.execute(ALL_SUCCESSORS).fetchall())
    assert not [value for row in kept for value in dict(row).values() if value in (old, new)], "taken over"
    assert (await relay.come(NORTH, old)).token == "", "it holds until its cluster ends it"


async def test_a_token_that_several_use_is_handed_over_only_when_that_is_meant(relay: Relay) -> None:
    old, new = relay.minted(), relay.minted()
    await relay.come(NORTH, old)
    await command_devices("approve", await waiting_device(relay, SOUTH, old))
    await relay.come(SOUTH, old)
    code, said = await relay.rotate(NORTH, new)
    assert (code, SOUTH in said, "--shared" in said) == (2, True, True)
    assert await relay.told() == set()
    assert (await relay.rotate(NORTH, new, "--shared"))[0] == 0
    assert await relay.told() == {NORTH, SOUTH}


async def waiting_device(relay: Relay, worker: str, token: str) -> str:
    with pytest.raises(DeviceRefused, match="belongs to another device"):
        await relay.come(worker, token)
    return relay.devices[worker].kid


async def command_devices(*words: str) -> None:
    with redirect_stdout(io.StringIO()):
        assert await asyncio.to_thread(main, ["devices", *words]) == 0


async def test_what_would_lose_the_agent_is_refused_in_a_line_and_changes_nothing(relay: Relay) -> None:
    old, others = relay.minted(), relay.minted()
    await relay.come(NORTH, old)
    await relay.come("ag-relay-plain", relay.minted(), has_key=False)
    await relay.come(SOUTH, others)
    for worker, token, wanted in (
        ("ag-relay-nobody", relay.minted(), "has enrolled here; see `tokens list`"),
        (NORTH, relay.minted("other"), "would become ag-other-north"),
        (NORTH, old, "has this very token already"),
        (NORTH, others, f"use the old token or the new one too ({SOUTH})"),
        ("ag-relay-plain", relay.minted(), "has no device key"),
        (NORTH, f"{relay.minted()[:-4]}AAAA", f"{relay.fake.url} refuses this token"),
        (NORTH, relay.fake.api.token("bash", exp=int(time.time()) - 1), "its exp has passed"),
        (NORTH, "no token", "holds no agent token"),
    ):
        code, said = await relay.rotate(worker, token)
        assert (code, said.count("\n")) == (2, 1)
        assert wanted in said
        assert token not in said
    relay.fake.misbehave("get_min_version", Trouble.RESET_BEFORE, times=99)
    assert (await relay.rotate(NORTH, relay.minted()))[0] == 1, "whether it holds is not known now"
    assert await relay.told() == set()
    assert [one["successor"] for one in (await listed()).values()] == [None, None, None]


@contextmanager
def typed(text: str) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.StringIO(text)
    try:
        yield
    finally:
        sys.stdin = before


async def test_the_token_comes_from_stdin_or_from_a_file_that_is_nobody_elses(relay: Relay) -> None:
    await relay.come(NORTH, relay.minted())
    new, file = relay.minted(), relay.folder / "open"
    file.write_bytes(b"\xff\xfe")
    asked = ("rotate", NORTH, "--token-file", str(file))
    assert "chmod 600" in (await command(*asked))[1]
    file.chmod(0o600)
    assert "holds no text" in (await command(*asked))[1]
    with typed(f'"{new}"\n'):
        assert (await command("rotate", NORTH, "--token-file", "-"))[0] == 0
    assert (await listed())[NORTH]["successor"] == token_id(new)
