"""A person runs a script, watches its log and its custody, stops it, and decides on what came to nothing."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Accepted, Rejected, Result
from agent.wire.routing import EVENTS, RESULTS
from bridge.relay.letters import LetterKind
from bridge.runs.carriage import Carriage
from bridge.web.asgi import build
from tests.browser.visiting import PHONE, Scheme, Visit, picture, violations, visiting
from tests.support.burial import Relay, buried, letter
from tests.support.carrier import TOKEN, enrolled
from tests.support.cluster import pages_of, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOP = WorkerName("ag-shop-suva")
GREET = 'def main(name: str, times: int = 2, kind: Literal["till", "stock"] = "till"):\n    return name\n'
ROWS = [{"shop": "Suva", "sold": 31, "open": True}, {"shop": "Nadi", "sold": 4, "note": "half a day"}]
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Shops:
    """A bridge with a broker that is all rows: what its agents say is put into its hands."""

    relay: Relay
    url: str

    async def up(self, *messages: object, queue: str = EVENTS) -> None:
        assert await self.relay.carrier.up(queue, SHOP, *messages)

    async def out(self, tag: str = "pos-suva") -> JobId:
        """A job that waits in the broker."""
        job_id = JobId(await self.relay.running.preview("echo hi", tag=tag))
        await self.published(job_id, tag)
        return job_id

    async def published(self, job_id: JobId, tag: str) -> None:
        pulled = await self.relay.source.pull(frozenset({Tag(tag)}))
        assert pulled is not None
        body = pack([pulled.as_job(Attempt(1), self.relay.running.clock.wall_s())])
        await self.relay.ledger.take(pulled.as_custody(Attempt(1)), body)
        await self.relay.ledger.published((job_id, Attempt(1)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shops(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[Shops]:
    async with buried(tmp_path_factory.mktemp("runs")) as relay:
        running = relay.running
        body = {"path": "f/shop/greet", "content": GREET, "language": "python3", "summary": "Says hello"}
        await running.admin.post("/api/w/main/scripts/create", json=body)
        carriage = Carriage(100, lambda: relay.carrier, relay.replays)
        pages = pages_of(
            running.cluster, running.store, running.clock, running.signer, carriage, relay.quarantine
        )
        async with served(build([*running.cluster.routes, *pages.routes])) as url:
            yield Shops(relay, url)
            pages.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, shops: Shops) -> AsyncIterator[Visit]:
    async with visiting(browser, shops.url) as visit:
        yield visit


async def test_a_script_is_run_watched_and_stopped(visit: Visit, shops: Shops) -> None:
    page = await visit.open("/runs/new?script=f/shop/greet")
    await page.get_by_role("button", name="Run", exact=True).click()
    await expect(page.get_by_text("name is needed")).to_be_visible()
    assert await violations(page) == []
    await picture(page, "run-form-wrong")
    assert [one for one in visit.complaints if " 400 " not in one] == []
    visit.complaints.clear()  # what is wrong is answered with 400, and the browser says so
    await page.locator("[name='arg.name']").fill("Bula")
    await page.locator("[name=tag]").fill("pos-suva")
    await page.get_by_role("button", name="Run", exact=True).click()
    await expect(page.locator("h1")).to_have_text("f/shop/greet")
    await expect(page.locator("#custody")).to_contain_text("no agent has it")
    job_id = JobId(page.url.rpartition("/")[2])
    await watched(page, shops, job_id)
    await page.get_by_role("button", name="Cancel…").click()
    await page.get_by_label("Reason").fill("wrong shop")
    await picture(page, "run-cancel")
    await page.get_by_label("End it now").check()
    await page.get_by_role("button", name="Cancel the job").click()
    await expect(page.locator("#custody")).to_contain_text("cancelled by admin (wrong shop)")


async def watched(page: Page, shops: Shops, job_id: JobId) -> None:
    """All of it comes without a reload."""
    await enrolled(shops.relay.ledger, SHOP, "pos-suva", "bash")
    await shops.published(job_id, "pos-suva")
    await expect(page.locator("#custody")).to_contain_text(f"on its way to {SHOP}")
    await shops.up(Accepted(job_id=job_id, attempt=Attempt(1)))
    await shops.relay.ledger.started((job_id, Attempt(1)), shops.relay.running.clock.wall_s())
    await expect(page.locator("#custody")).to_contain_text(f"running at {SHOP}")
    jobs = shops.relay.running.cluster.jobs
    for number in range(3):
        await jobs.append_log("main", job_id, f"line {number} <b>&amp;\n")
        await expect(page.locator("#log")).to_contain_text(f"line {number} <b>&amp;")
    running = shops.relay.running
    await running.admin.post(f"/api/w/main/job_metrics/set_progress/{job_id}", json={"percent": 40})
    await expect(page.locator("progress")).to_have_attribute("value", "40")
    assert await violations(page) == []
    await picture(page, "run-running")


async def test_what_came_to_nothing_is_decided(visit: Visit, shops: Shops) -> None:
    await enrolled(shops.relay.ledger, SHOP, "pos-suva", "bash")
    job_id = await shops.out()
    page = await visit.open("/dead")
    await shops.up(Rejected(reason="BadSignature: torn on its way", claimed_job_id=job_id, claimed_attempt=1))
    row = page.locator("#letters tr", has_text="torn on its way")
    await expect(row).to_contain_text("job refused by an agent")
    await shops.relay.letters.keep(letter(LetterKind.POISON, str(await shops.out()), worker=SHOP))
    await expect(page.locator("#letters")).to_contain_text("poison")
    kept = await shops.out()
    await shops.up(Accepted(job_id=kept, attempt=Attempt(1)))
    shops.relay.revoked.add(TOKEN)
    result = Result(job_id=kept, attempt=Attempt(1), workspace="main", success=True, document=b'"late"')
    await shops.up(result, queue=RESULTS)
    shops.relay.revoked.clear()
    await expect(page.locator("#kept")).to_contain_text(SHOP)
    assert await violations(page) == []
    await picture(page, "dead")
    await row.get_by_role("button", name="Discard…").click()
    await expect(page.locator("#sure")).to_contain_text("Discard this letter?")
    assert await violations(page) == []
    await picture(page, "dead-discard")
    await page.get_by_role("button", name="Discard", exact=True).click()
    await expect(page.get_by_role("status").first).to_contain_text("The letter is gone")
    await expect(row).to_have_count(0)
    await page.get_by_role("button", name="Accept…").click()
    await page.get_by_role("button", name="Accept", exact=True).click()
    await expect(page.locator("#kept")).not_to_contain_text(SHOP)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_and_a_phone_shows_all(visit: Visit, shops: Shops, scheme: Scheme) -> None:
    await enrolled(shops.relay.ledger, SHOP, "pos-suva", "bash")
    over = await shops.out()
    await shops.up(Accepted(job_id=over, attempt=Attempt(1)))
    about = {"job_id": over, "attempt": Attempt(1), "workspace": "main", "success": True}
    ran = {
        "finished_at": shops.relay.running.clock.wall_s(),
        "duration_ms": 3_200,
        "finished_while_down": True,
    }
    await shops.up(Result(**about, **ran, document=json.dumps(ROWS).encode()), queue=RESULTS)
    await shops.out()
    await shops.out("pos-nadi")
    for path, name in {
        "/runs": "runs",
        f"/run/{over}": "run-over",
        "/runs/new": "run-code",
        "/dead": "dead",
    }.items():
        page = await visit.open(path, scheme)
        assert await violations(page) == [], path
        await picture(page, f"{name}-{scheme}")
        small = await visit.open(path, scheme, PHONE)
        assert await small.evaluate(TOO_WIDE) <= 0, path
        await picture(small, f"phone-{name}-{scheme}")
