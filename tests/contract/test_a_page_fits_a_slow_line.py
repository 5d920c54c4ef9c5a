"""The first load of each page: what a browser fetches for it, whether the line packs it or not."""

import re

import httpx
import pytest

from tests.support.cluster import Running

FIRST_LOAD_BYTES = 100_000
PAGES = ["/login", "/workers", "/runs", "/runs/new", "/flows", "/dead", "/audit"]
LOADED = re.compile(r'(?:src|href)="(/static/[^"]+)"')


def sent_bytes(answer: httpx.Response) -> int:
    """As it travels: the body, and roughly what stands above it."""
    return answer.num_bytes_downloaded + sum(len(a) + len(b) + 4 for a, b in answer.headers.raw)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("packing", ["gzip", "identity"])
async def test_a_first_load_is_under_100_kb(cluster: Running, path: str, packing: str) -> None:
    headers = {"accept-encoding": packing}
    page = await cluster.admin.get(path, headers=headers)
    assert page.status_code == 200
    urls = dict.fromkeys(LOADED.findall(page.text))
    loads = [await cluster.admin.get(url, headers=headers) for url in urls]
    assert len(loads) >= 4  # or the pattern no longer finds them
    assert {answer.status_code for answer in loads} == {200}
    assert sum(map(sent_bytes, [page, *loads])) < FIRST_LOAD_BYTES


async def test_what_was_loaded_is_kept_until_it_changes(cluster: Running) -> None:
    page = await cluster.admin.get("/login")
    for url in LOADED.findall(page.text):
        assert "immutable" in (await cluster.client(None).get(url)).headers["cache-control"]
    assert (await cluster.admin.get("/static/0123456789/style.css")).status_code == 404
