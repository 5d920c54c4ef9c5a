"""A site may be cut off when its job starts: what the job imports of its workspace has come with it."""

from typing import Any

import pytest

from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

IN = "/api/w/main"
PRICES = "from .taxes import VAT\n"
TAXES = "VAT = 0.19\n"


async def deploy(cluster: Running, path: str, content: str, language: str = "python3") -> None:
    body = {"path": path, "content": content, "language": language, "tag": "till"}
    assert (await cluster.admin.post(f"{IN}/scripts/create", json=body)).status_code == 201


async def handed_out(cluster: Running, path: str) -> Any:
    agent = await cluster.agent("till")
    assert (await cluster.admin.post(f"{IN}/jobs/run/p/{path}", json={})).status_code == 201
    return (await agent.post("/api/agent_workers/pull_job")).json()


async def test_all_of_them_and_of_now(cluster: Running) -> None:
    await deploy(cluster, "f/shop/taxes", TAXES)
    await deploy(cluster, "f/shop/prices", PRICES)
    await deploy(cluster, "f/shop/total", "from f.shop.prices import net\nfrom f.shop.none import x\n")
    scripts = {"f/shop/prices": PRICES, "f/shop/taxes": TAXES}
    assert (await handed_out(cluster, "f/shop/total"))["scripts"] == scripts
    await deploy(cluster, "f/shop/taxes", "VAT = 0.2\n")
    assert (await handed_out(cluster, "f/shop/total"))["scripts"]["f/shop/taxes"] == "VAT = 0.2\n"
    assert "scripts" not in await handed_out(cluster, "f/shop/taxes")


async def test_a_preview_too_and_only_of_its_own_languages(cluster: Running) -> None:
    await deploy(cluster, "f/shop/taxes", TAXES)
    await deploy(cluster, "f/shop/taxes_ts", "export const VAT = 0.19\n", "bun")
    agent = await cluster.agent("till")
    for language, code, scripts in (
        ("python3", "from .taxes import VAT", {"f/shop/taxes": TAXES}),
        ("bun", 'import { VAT } from "./taxes_ts.ts"', {"f/shop/taxes_ts": "export const VAT = 0.19\n"}),
        ("bun", 'import { VAT } from "./taxes"', {}),
    ):
        await cluster.preview(code, language=language, path="f/shop/new", tag="till")
        answer = (await agent.post("/api/agent_workers/pull_job")).json()
        assert answer.get("scripts", {}) == scripts
