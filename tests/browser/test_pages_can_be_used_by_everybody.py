"""Keyboard, labels, contrast, a phone: axe has nothing against any page, in light and in dark."""

import pytest
from playwright.async_api import Page

from tests.browser.visiting import PHONE, Scheme, Visit, picture, violations

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATHS = ["/login", "/workers", "/workers/new"]
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def opened(page: Page, link: str) -> None:
    await page.get_by_role("link", name=link).first.click()
    await page.locator("dialog[open]").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(visit: Visit, scheme: Scheme) -> None:
    login = await visit.open("/login", scheme, login=False)
    assert await violations(login) == []
    await picture(login, f"login-{scheme}")
    workers = await visit.open("/workers", scheme)
    assert await violations(workers) == []
    await picture(workers, f"workers-{scheme}")
    for link in ("+ New agent worker", "by month"):
        await opened(workers, link)
        assert await violations(workers) == []
        await workers.keyboard.press("Escape")


@pytest.mark.parametrize("path", PATHS)
async def test_a_phone_shows_all_of_it(visit: Visit, path: str) -> None:
    page = await visit.open(path, size=PHONE, login=path != "/login")
    assert await page.evaluate(TOO_WIDE) <= 0
    await picture(page, f"phone{path.replace('/', '-')}")


async def test_a_dialog_is_left_by_keyboard(visit: Visit) -> None:
    page = await visit.open("/workers")
    await opened(page, "+ New agent worker")
    assert await page.evaluate("document.activeElement.closest('dialog') !== null")
    await page.keyboard.press("Escape")
    assert await page.locator("dialog[open]").count() == 0
