"""An operator's way with one site: a token, the agent comes, works, drains, is cut off, is blacklisted."""

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from dev_tools.proxy import Cut
from tests.browser.visiting import picture, visiting
from tests.support.world import Agent, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOPS = "a[href^='/workers/agent/ag-shops-']"
SEEN_MS = 15_000
CUT_SEEN_S = 5.0


async def test_the_whole_way(browser: Browser, shops: World) -> None:
    async with visiting(browser, shops.bridge.url) as visit:
        page = await visit.open("/workers")
        await expect(page.locator(".fleet tbody tr")).to_contain_text("up")  # the bridge's own normal worker
        await picture(page, "workers-before")
        agent = shops.site(token=await made_token(page))
        agent.launch()
        await expect(page.locator(".wait.good")).to_contain_text("is up", timeout=SEEN_MS)
        await picture(page, "new-agent-connected")
        await page.get_by_role("link", name="Done").click()
        row = page.locator(".fleet tbody tr").filter(
            has=page.locator(SHOPS)
        )  # the page learnt of it by itself
        await expect(state_in(row)).to_contain_text("up")
        job_id = shops.cluster.submit("sleep 1; echo done", "pos-suva")
        assert (await shops.cluster.done(job_id))["success"]
        await drained_and_resumed(page, row)
        await cut_and_back(row, shops)
        await blacklisted(page, row, agent)
    assert audited(shops) >= {
        "agent_workers.token.create",
        "agent_workers.drain",
        "agent_workers.resume",
        "agent_workers.blacklist.add",
    }


async def made_token(page: Page) -> str:
    await page.get_by_role("link", name="+ New agent worker").first.click()
    drawer = page.locator("dialog[open]")
    await drawer.locator("[name=group]").fill("shops")
    await drawer.locator("[name=further]").fill("pos-suva")
    await picture(page, "new-agent")
    await drawer.get_by_role("button", name="Make the token").click()
    await expect(page.get_by_text("Waiting for it to connect…")).to_be_visible()
    await picture(page, "new-agent-token")
    return await page.locator("#token-1").inner_text()


def state_in(row: Locator) -> Locator:
    return row.locator(".state")


async def drained_and_resumed(page: Page, row: Locator) -> None:
    for deed, state in (("Drain", "draining"), ("Resume", "up")):
        await row.get_by_role("link").click()
        await page.get_by_role("link", name=f"{deed}…").click()
        await page.get_by_role("button", name=deed).click()
        await page.get_by_role("link", name="Close").click()
        await expect(state_in(row)).to_contain_text(state, timeout=SEEN_MS)


async def cut_and_back(row: Locator, shops: World) -> None:
    """Bytes stand still and sockets stay open: nobody is told, so silence has to be noticed."""
    shops.http_link.cut(Cut.STALL)
    shops.amqp_link.cut(Cut.STALL)
    await expect(state_in(row)).to_contain_text("down", timeout=CUT_SEEN_S * 1000)
    shops.restore()
    await expect(state_in(row)).to_contain_text("up", timeout=30_000)


async def blacklisted(page: Page, row: Locator, agent: Agent) -> None:
    await row.get_by_role("link").click()
    await page.get_by_role("link", name="Blacklist its token…").click()
    await picture(page, "blacklist")
    await page.get_by_role("button", name="Blacklist").click()
    await page.get_by_role("link", name="Close").click()
    await expect(state_in(row)).to_contain_text("revoked", timeout=SEEN_MS)
    assert agent.process.is_running()  # it keeps what it has, and tries again


def audited(shops: World) -> set[str]:
    return {entry["operation"] for entry in shops.cluster.read("/api/audit/list")}
