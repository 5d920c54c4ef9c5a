"""The steps of a flow on its page, and people's words to it: as its owner, and by a signed link."""

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from bridge.flows.deployed import preview_of
from bridge.flows.resumes import Resumes
from bridge.tokens.model import Identity, NewPersonToken
from tests.support.cluster import Running, served
from tests.support.databases import plain
from tests.support.first_store import BASE_URL
from tests.support.flows_in_store import Driver, flows_on
from tests.support.pricing import PATH, Prices, begun, deployed
from tests.support.until import until
from tests.support.viewing import LIVE, viewer

ADD_PERSON = plain(
    "INSERT INTO person (email, username, password_hash, superadmin) VALUES (:email, :username, '', 0)"
)
APPROVE = {"word": "approve"}
LOADED = re.compile(r'(?:src|href)="(/static/[^"]+)"')
STEPS = re.compile(r'<div id="steps".*?</ol>', re.DOTALL)


@pytest.fixture
async def driver(cluster: Running) -> AsyncIterator[Driver]:
    async with flows_on(cluster) as turns:
        driver = Driver(running=cluster, turns=turns, workspace="main")
        await deployed(driver)
        yield driver


async def steps(driver: Driver, flow_id: str) -> str:
    """The part of the page, without its markup."""
    page = await driver.running.admin.get(f"/run/{flow_id}")
    assert page.status_code == 200, page.text
    found = STEPS.search(page.text)
    assert found
    return " ".join(re.sub(r"<[^>]+>", " ", found[0]).split())


async def link(prices: Prices, approver: str | None = None) -> str:
    running = prices.driver.running
    resumes = Resumes(running.store, running.cluster.bulletin, running.clock)
    links = await resumes.links("main", await prices.step_job(), 7, approver, BASE_URL)
    return links.approval_page.removeprefix(BASE_URL)


@pytest.mark.on_both_stores
async def test_it_shows_who_is_asked_who_waits_and_what_is_done(driver: Driver) -> None:
    prices = await begun(driver)
    shown = await steps(driver, prices.flow_id)
    assert "success Read the new prices list , python3 code" in shown
    assert "waits for people Send them to each shop sites , for each item, side by side" in shown
    assert "It waits for 1 approval, until" in shown
    assert "not yet report" in shown
    answered = await driver.running.admin.post(
        f"/run/{prices.flow_id}/answer", data={"word": "approve", "arg.note": "go"}
    )
    assert "Approved." in answered.text
    await prices.on()
    shown = await steps(driver, prices.flow_id)
    assert "approved by admin" in shown
    assert "waits Send them to each shop" in shown
    assert "4 of 6 done, 2 wait." in shown
    assert "3 price till-site2 waits for its site, and nobody serves its tag" in shown
    assert "6 price till-site5 waits for its site, and nobody serves its tag" in shown
    await prices.all_back()
    shown = await steps(driver, prices.flow_id)
    assert "6 of 6 done." in shown
    assert "took nobody failed" in shown
    assert "waits" not in shown
    each = await driver.running.admin.get(f"/run/{prices.flow_id}/steps?module=sites")
    assert each.text.count("success") == 6


async def test_who_holds_a_step_is_named(driver: Driver) -> None:
    prices = await begun(driver)
    await driver.running.admin.post(
        f"/run/{prices.flow_id}/answer", data={"word": "approve", "arg.note": "go"}
    )
    await prices.on()
    agent = await driver.running.agent("till-site2")
    assert (await agent.post("/api/agent_workers/pull_job", json=None)).json()
    shown = await steps(driver, prices.flow_id)
    assert "4 of 6 done, 1 run, 1 wait." in shown
    assert "3 price till-site2 runs at ag-pos-till-a1b2c" in shown


async def test_it_moves_without_a_reload(driver: Driver) -> None:
    prices, admin = await begun(driver), driver.running.admin
    async with (
        served(driver.running.app) as url,
        httpx.AsyncClient(base_url=url, headers=admin.headers) as client,
    ):
        (path,) = LIVE.findall((await client.get(f"/run/{prices.flow_id}")).text)
        async with viewer(client, path.replace("&amp;", "&")) as seen:
            await admin.post(f"/run/{prices.flow_id}/answer", data={"word": "deny"})
            await prices.on()
            await until(lambda: "steps" in seen.events and "failed" in seen.text, within_s=5)


async def test_a_link_is_enough_and_counts_once(driver: Driver) -> None:
    prices = await begun(driver)
    path = await link(prices, "Ana")
    anybody = driver.running.client(None)
    asked = await anybody.get(path)
    assert asked.status_code == 200
    for said in (PATH, "waits for 1 approval", "You answer as Ana", 'name="arg.note"', "Approve", "Deny"):
        assert said in asked.text
    refused = await anybody.post(path, data={"word": "approve"})
    assert (refused.status_code, "note is needed" in refused.text) == (400, True)
    assert "Approved." in (await anybody.post(path, data={"word": "approve", "arg.note": "go"})).text
    again = await anybody.post(path, data={"word": "deny", "arg.note": "no"})
    assert (again.status_code, "used already" in again.text) == (400, True)
    await prices.on()
    assert "approved by Ana" in await steps(driver, prices.flow_id)


async def test_a_link_that_was_changed_shows_nothing(driver: Driver) -> None:
    prices = await begun(driver)
    path = await link(prices, "Ana")
    for changed in (
        path.replace("Ana", "Eve"),
        path.replace("/7/", "/8/"),
        path.replace("?approver=Ana", ""),
    ):
        answer = await driver.running.client(None).get(changed)
        assert (answer.status_code, PATH in answer.text) == (401, False)


async def test_a_link_to_what_only_people_who_have_logged_in_answer_leads_to_the_login(
    driver: Driver,
) -> None:
    step = {"type": "rawscript", "language": "python3", "content": "def main():\n    return 1", "tag": "head"}
    suspend = {"required_events": 1, "user_auth_required": True}
    value = {"modules": [{"id": "list", "value": step, "suspend": suspend}]}
    prices = Prices(driver, await driver.push(preview_of(json.dumps(value).encode(), None, None), {}))
    await prices.on()
    path = await link(prices)
    for send in (driver.running.client(None).get(path), driver.running.client(None).post(path, data=APPROVE)):
        answer = await send
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
    assert "Approved." in (await driver.running.admin.post(path, data=APPROVE)).text


async def test_who_does_not_own_it_has_no_button(driver: Driver) -> None:
    prices = await begun(driver)
    eve = {"email": "eve@orvanta.local", "username": "eve"}
    await driver.running.store.write(lambda connection: connection.execute(ADD_PERSON, eve).rowcount)
    token = await driver.running.cluster.tokens.create(Identity(superadmin=False, **eve), NewPersonToken())
    other = driver.running.client(token)
    page = await other.get(f"/run/{prices.flow_id}")
    assert f"/run/{prices.flow_id}/answer" not in page.text
    refused = await other.post(f"/run/{prices.flow_id}/answer", data={"word": "approve", "arg.note": "x"})
    assert refused.status_code == 403
    await prices.on()
    assert "waits for people" in await steps(driver, prices.flow_id)


@pytest.mark.on_both_stores
async def test_the_list_shows_flows_and_leaves_their_steps_out(driver: Driver) -> None:
    prices = await begun(driver)
    admin = driver.running.admin
    listed = (await admin.get("/runs")).text
    assert prices.flow_id in listed
    assert await prices.step_job() not in listed
    for wanted in ("steps=1", "tag=head"):
        shown = (await admin.get(f"/runs?{wanted}")).text
        assert await prices.step_job() in shown
        assert f'step list of <a href="/run/{prices.flow_id}">' in shown


async def test_each_iteration_is_found(driver: Driver) -> None:
    prices = await begun(driver, sites=105)
    await driver.running.admin.post(
        f"/run/{prices.flow_id}/answer", data={"word": "approve", "arg.note": "go"}
    )
    await prices.on()
    first = await driver.running.admin.get(f"/run/{prices.flow_id}/steps?module=sites")
    assert first.text.count("success") == 98
    following = re.search(r'href="([^"]+)">Next', first.text)
    assert following
    second = await driver.running.admin.get(following[1].replace("&amp;", "&"))
    assert second.text.count("success") == 5
    left = await driver.running.admin.get(f"/run/{prices.flow_id}/steps?module=sites&open=1")
    assert (left.text.count("<code>"), left.text.count("success")) == (2, 0)
    assert await first_load_bytes(driver, f"/run/{prices.flow_id}") < 100_000


async def first_load_bytes(driver: Driver, path: str) -> int:
    """Where the line packs nothing."""
    plain_only, admin = {"accept-encoding": "identity"}, driver.running.admin
    page = await admin.get(path, headers=plain_only)
    loads = [await admin.get(url, headers=plain_only) for url in set(LOADED.findall(page.text))]
    assert len(loads) >= 4
    return len(page.content) + sum(len(one.content) for one in loads)


async def test_it_is_run_again_as_a_new_flow(driver: Driver) -> None:
    prices = await begun(driver)
    again = await driver.running.admin.post(f"/run/{prices.flow_id}/again")
    await driver.until_idle()
    new_id = again.headers["location"].rpartition("/")[2]
    assert new_id != prices.flow_id
    assert "waits for people" in await steps(driver, new_id)


async def test_a_deployed_flow_is_found_and_run_from_the_pages(driver: Driver) -> None:
    admin = driver.running.admin
    page = (await admin.get("/flows")).text
    assert PATH in page
    assert "Nightly prices" in page
    link = re.search(r'href="(/runs/new[^"]+)"', page)
    assert link
    form = (await admin.get(link[1].replace("&amp;", "&"))).text
    assert f'value="flow:{PATH}" selected' in form
    sent = {"script": f"flow:{PATH}", "workspace": "main", "args": '{"sites": ["site9"]}'}
    begun_at = (await admin.post("/runs/new", data=sent)).headers["location"]
    await driver.until_idle()
    assert "waits for people" in await steps(driver, begun_at.rpartition("/")[2])
