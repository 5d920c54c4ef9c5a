"""A person with a browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.world import PASSWORD

SCREENSHOTS: Final = Path(__file__).parent / "screenshots"
ARGUMENTS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE: Final = (1360, 900)
PHONE: Final = (360, 740)
WAIT_MS: Final = 15_000

Scheme = Literal["light", "dark"]


class Visit:
    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self._session: Any = None
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    async def open(
        self, path: str, scheme: Scheme = "light", size: tuple[int, int] = WIDE, *, login: bool = True
    ) -> Page:
        """Logged in by the form, the first time; then with the same session."""
        context = await self._browser.new_context(
            base_url=self._url,
            color_scheme=scheme,
            viewport={"width": size[0], "height": size[1]},
            storage_state=self._session if login else None,
        )
        self._contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: self._note(message.type, f"{message.text} {message.location}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(path)
        if login and "/login" in page.url:
            await page.fill("[name=email]", "admin@orvanta.local")
            await page.fill("[name=password]", PASSWORD)
            await page.click("main button[type=submit]")
            await page.wait_for_url(f"**{path}")
            self._session = await context.storage_state()
        return page

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()

    def _note(self, kind: str, text: str) -> None:
        if kind == "error":
            self.complaints.append(text)


@asynccontextmanager
async def visiting(browser: Browser, url: str) -> AsyncIterator[Visit]:
    visit = Visit(browser, url)
    try:
        yield visit
    finally:
        await visit.close()
    assert not visit.complaints, visit.complaints


async def picture(page: Page, name: str) -> None:
    """Of what is in the window, to be looked at."""
    await page.screenshot(
        path=SCREENSHOTS / f"{name}.png", caret="initial"
    )  # to hide it would be an inline style


async def violations(page: Page) -> list[str]:
    """What axe has against it: the rule, and where."""
    found = (await Axe().run(page)).response["violations"]
    return [f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]]
