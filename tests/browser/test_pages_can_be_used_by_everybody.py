"""Keyboard, labels, contrast, a phone: axe has nothing against any page, in light and in dark."""

import pytest
from playwright.async_api import Browser, Page

from tests.browser.visiting import PHONE, Scheme, picture, violations, visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")

DIALOGS = ["+ New agent worker", "by month", "suva", "nadi", "labasa", "Rename ferries"]
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS_IS_INSIDE = "document.activeElement.closest('dialog') !== null"


async def opened(page: Page, link: str) -> None:
    await page.get_by_role("link", name=link).first.click()
    await page.locator("dialog[open]").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(browser: Browser, fleet_url: str, scheme: Scheme) -> None:
    async with visiting(browser, fleet_url) as visit:
        login = await visit.open("/login", scheme, login=False)
        assert await violations(login) == []
        await picture(login, f"login-{scheme}")
        workers = await visit.open("/workers", scheme)
        await workers.locator("details.plot summary").click()
        await workers.locator(".u-legend").wait_for()
        assert await violations(workers) == []
        await picture(workers, f"workers-{scheme}")
        audit = await visit.open("/audit", scheme)
        await opened(audit, "Verify the chain")
        assert await violations(audit) == []
        await audit.keyboard.press("Escape")
        await picture(audit, f"audit-{scheme}")
        for link in DIALOGS:
            await opened(workers, link)
            assert await violations(workers) == [], link
            await picture(workers, f"{link.strip('+ ').replace(' ', '-')}-{scheme}")
            await workers.keyboard.press("Escape")


async def test_axe_finds_nothing_in_a_deed_and_in_a_token(browser: Browser, fleet_url: str) -> None:
    async with visiting(browser, fleet_url) as visit:
        page = await visit.open("/workers")
        await opened(page, "suva")
        await page.get_by_role("link", name="Blacklist its token…").click()
        await page.get_by_role("button", name="Leave it").wait_for()
        assert await violations(page) == []
        await page.get_by_role("button", name="Leave it").click()
        await opened(page, "+ New agent worker")
        await page.locator("dialog [name=group]").fill("shops")
        await page.locator("dialog [name=further]").fill("pos-suva")
        await page.get_by_role("button", name="Make the token").click()
        await page.get_by_text("Waiting for it to connect…").wait_for()
        assert await violations(page) == []


@pytest.mark.parametrize("path", ["/login", "/workers", "/workers/new", "/audit"])
async def test_a_phone_shows_all_of_it(browser: Browser, fleet_url: str, path: str) -> None:
    async with visiting(browser, fleet_url) as visit:
        page = await visit.open(path, size=PHONE, login=path != "/login")
        assert await page.evaluate(TOO_WIDE) <= 0
        await picture(page, f"phone{path.replace('/', '-')}")


async def test_a_dialog_is_left_by_keyboard(browser: Browser, fleet_url: str) -> None:
    async with visiting(browser, fleet_url) as visit:
        page = await visit.open("/workers")
        await opened(page, "+ New agent worker")
        assert await page.evaluate(FOCUS_IS_INSIDE)
        await page.keyboard.press("Escape")
        assert await page.locator("dialog[open]").count() == 0
