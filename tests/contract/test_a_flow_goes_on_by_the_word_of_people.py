"""Signed links count once each, for their step or for the flow; its owner needs none (openflow.md 2.4)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.errors import BadRequest, NotAuthorized, NotFound
from bridge.flows.deployed import preview_of
from bridge.flows.resumes import Resumes, Word
from tests.support.cluster import Running
from tests.support.databases import plain
from tests.support.flows_in_store import Driver, flow_of, flows_on

pytestmark = pytest.mark.on_both_stores

FLOW = flow_of(
    [
        {"id": "a", "py": "return 1", "suspend": {"required_events": 2, "timeout": 600}},
        {"id": "b", "py": "return [r, w]", "in": {"r": "=resumes", "w": "=approvers"}},
    ]
)
STEP = plain("SELECT id FROM job WHERE parent_job = :id AND flow_step_id = 'a'")
SIGNATURE_CHARS = 64


@pytest.fixture
async def driver(cluster: Running) -> AsyncIterator[Driver]:
    async with flows_on(cluster) as turns:
        yield Driver(running=cluster, turns=turns, workspace="main")


async def waiting(driver: Driver) -> tuple[str, str, Resumes]:
    """A flow that waits, the step that it waits after, and what takes words."""
    flow_id = await driver.push(preview_of(FLOW, None, None), {})
    await driver.until_idle()
    (step,) = await driver.rows(STEP, id=flow_id)
    running = driver.running
    return flow_id, step["id"], Resumes(running.store, running.cluster.bulletin, running.clock)


async def said(resumes: Resumes, job_id: str, number: int, approver: str | None, payload: bytes) -> None:
    """By the link, as it was given out."""
    links = await resumes.links("main", job_id, number, approver, "https://cluster.example")
    of, written, signature = links.resume.partition("?")[0].rsplit("/", 3)[1:]
    assert (of, written, len(signature)) == (job_id, str(number), SIGNATURE_CHARS)
    word = Word(resume_id=number, approved=True, payload=payload, approver=approver)
    await resumes.answer("main", job_id, word, signature)


async def test_it_goes_on_when_enough_have_spoken(driver: Driver) -> None:
    flow_id, step, resumes = await waiting(driver)
    await said(resumes, step, 7, "ada", b'{"ok":true}')
    await driver.until_idle()
    shown = await driver.shown(flow_id)
    assert (shown["modules"][1]["type"], shown["modules"][1]["count"]) == ("WaitingForEvents", 1)
    await said(resumes, step, 8, None, b"2")
    await driver.until_idle()
    ended = await driver.ended(flow_id)
    assert ended is not None
    assert ended["result"] == '[[{"ok": true}, 2], ["ada", "anonymous"]]'


async def test_a_link_counts_once_and_for_what_it_says(driver: Driver) -> None:
    flow_id, step, resumes = await waiting(driver)
    await said(resumes, step, 7, "ada", b"1")
    with pytest.raises(BadRequest, match="used already"):
        await said(resumes, step, 7, "ada", b"1")
    signature = await resumes.signature("main", step, 9, "ada")
    forged = [
        (step, Word(resume_id=9, approved=True, approver="bob")),
        (step, Word(resume_id=10, approved=True, approver="ada")),
        (flow_id, Word(resume_id=9, approved=True, approver="ada")),
    ]
    for job_id, word in forged:
        with pytest.raises(NotAuthorized):
            await resumes.answer("main", job_id, word, signature)
    with pytest.raises(NotAuthorized):
        await resumes.answer("admins", step, Word(resume_id=9, approved=True, approver="ada"), signature)
    with pytest.raises(NotFound):
        await resumes.answer("main", "no-uuid", Word(resume_id=9, approved=True), signature)


async def test_two_at_once_are_two(driver: Driver) -> None:
    flow_id, step, resumes = await waiting(driver)
    await asyncio.gather(said(resumes, step, 1, "ada", b"1"), said(resumes, flow_id, 1, "bob", b"1"))
    await driver.until_idle()
    assert await driver.ended(flow_id) is not None


async def test_its_owner_needs_no_link(driver: Driver) -> None:
    flow_id, _, resumes = await waiting(driver)
    await resumes.resume_flow("main", flow_id, b'"go"', "ada")
    await resumes.resume_suspended("main", flow_id, b"null", "bob", approved=False)
    await driver.until_idle()
    ended = await driver.ended(flow_id)
    assert ended is not None
    assert '"SuspendedDisapproved"' in ended["result"]
    for later in (
        resumes.resume_flow("main", flow_id, b"1", "ada"),
        resumes.resume_flow("admins", flow_id, b"1", "ada"),
    ):
        with pytest.raises(NotFound):
            await later


async def test_one_that_waits_for_nobody_says_so(driver: Driver) -> None:
    flow_id = await driver.push(preview_of(flow_of([{"id": "a", "py": "return 1"}]), None, None), {})
    resumes = Resumes(driver.running.store, driver.running.cluster.bulletin, driver.running.clock)
    with pytest.raises(BadRequest, match="nobody"):
        await resumes.resume_flow("main", flow_id, b"1", "ada")
    await driver.until_idle()
    word = Word(resume_id=1, approved=True)
    with pytest.raises(BadRequest, match="over"):
        await resumes.answer("main", flow_id, word, await resumes.signature("main", flow_id, 1, None))
    plain_job = await driver.running.preview()
    with pytest.raises(BadRequest, match="neither"):
        await resumes.answer("main", plain_job, word, await resumes.signature("main", plain_job, 1, None))


async def test_nobody_speaks_in_time(driver: Driver) -> None:
    flow_id, _, _ = await waiting(driver)
    assert (await driver.running.job(flow_id))["running"] is True
    await driver.pass_s(601)
    await driver.until_idle()
    ended = await driver.ended(flow_id)
    assert ended is not None
    assert '"SuspendedTimedOut"' in ended["result"]
