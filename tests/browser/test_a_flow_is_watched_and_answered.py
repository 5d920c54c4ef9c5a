"""A person sees how far a flow is and where it waits, and answers what it asks."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from bridge.flows.resumes import Resumes
from tests.browser.visiting import PHONE, Scheme, picture, violations, visiting
from tests.support.cluster import running_cluster, served
from tests.support.fleet import site
from tests.support.flows_in_store import Driver, flows_on
from tests.support.pricing import begun, deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")

SITES = 100
AWAY = 10
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Office:
    driver: Driver
    url: str


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def office(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[Office]:
    """`browser`: without one it is not started."""
    async with (
        running_cluster(tmp_path_factory.mktemp("office")) as running,
        flows_on(running) as turns,
        served(running.app) as url,
    ):
        driver = Driver(running=running, turns=turns, workspace="main")
        await deployed(driver)
        yield Office(driver, url)


async def test_it_is_answered_watched_and_ends(browser: Browser, office: Office) -> None:
    driver = office.driver
    for number in range(AWAY):
        away = await site(driver.running, f"site{number}", f"till-site{number}")
        await away.ping(next_s=0.01)
    prices = await begun(driver, sites=SITES)
    driver.offline |= {f"till-site{number}" for number in range(AWAY)}
    async with visiting(browser, office.url) as visit:
        page = await visit.open(f"/run/{prices.flow_id}")
        await expect(page.locator("#steps")).to_contain_text("waits for people")
        await page.get_by_role("link", name="Answer…").click()
        await page.get_by_label("note").fill("after closing time")
        assert await violations(page) == []
        await picture(page, "flow-answer")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("status").first).to_contain_text("Approved")
        await page.get_by_role("link", name="The flow's page").click()
        await prices.on()
        await expect(page.locator("#steps")).to_contain_text("90 of 100 done, 10 wait")
        await expect(page.locator(".held tbody tr")).to_have_count(AWAY)
        await expect(page.locator(".held")).to_contain_text("offline for")
        for scheme in ("light", "dark"):
            seen = await visit.open(f"/run/{prices.flow_id}", scheme)
            assert await violations(seen) == []
            await picture(seen, f"flow-{scheme}")
        phone = await visit.open(f"/run/{prices.flow_id}", size=PHONE)
        assert await phone.evaluate(TOO_WIDE) <= 0
        await picture(phone, "phone-flow")
        await prices.all_back()
        await expect(page.locator("#steps")).to_contain_text("100 of 100 done")
        await page.get_by_role("link", name="All of them").click()
        await expect(page.locator("tbody tr")).to_have_count(100)
        assert await violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_link_opens_one_question(browser: Browser, office: Office, scheme: Scheme) -> None:
    running = office.driver.running
    prices = await begun(office.driver)
    resumes = Resumes(running.store, running.cluster.bulletin, running.clock)
    links = await resumes.links("main", await prices.step_job(), 1, "Ana", office.url)
    async with visiting(browser, office.url) as visit:
        page = await visit.open(links.approval_page.removeprefix(office.url), scheme, login=False)
        assert await violations(page) == []
        await picture(page, f"approve-{scheme}")
        await page.get_by_role("button", name="Deny").click()
        await expect(page.get_by_role("status").first).to_contain_text("Denied")
