"""The dispatcher waits for jobs instead of polling for them."""

import asyncio

from tests.support.cluster import Running

LONG_S = 3600.0
SOON_S = 10.0


async def waiting(cluster: Running) -> asyncio.Task[None]:
    task = asyncio.ensure_future(cluster.cluster.jobs.wait_for_push(LONG_S))
    await cluster.store.read(lambda _: None)  # the waiter's own look at the store came before this one
    return task


async def test_a_push(cluster: Running) -> None:
    waiter = await waiting(cluster)
    assert not waiter.done()
    await cluster.preview()
    async with asyncio.timeout(SOON_S):
        await waiter


async def test_a_push_before_the_wait_is_not_missed(cluster: Running) -> None:
    await cluster.preview()
    async with asyncio.timeout(SOON_S):
        await cluster.cluster.jobs.wait_for_push(LONG_S)


async def test_a_job_that_becomes_due(cluster: Running) -> None:
    await cluster.preview(scheduled_in_secs=1)
    await cluster.cluster.jobs.wait_for_push(0)  # the news of the push itself
    async with asyncio.timeout(SOON_S):
        await cluster.cluster.jobs.wait_for_push(LONG_S)
    assert await cluster.cluster.jobs.pull("ag-x-1", ["bash"]) is not None


async def test_a_job_that_a_silent_worker_lost(cluster: Running) -> None:
    await cluster.preview()
    await cluster.cluster.jobs.pull("ag-x-1", ["bash"])
    await cluster.cluster.jobs.wait_for_push(0)
    waiter = await waiting(cluster)
    cluster.clock.ahead_s = 61
    await cluster.cluster.jobs.sweep_zombies(60)
    async with asyncio.timeout(SOON_S):
        await waiter


async def test_a_due_job_that_nobody_pulls_does_not_make_the_wait_spin(cluster: Running) -> None:
    await cluster.preview(scheduled_in_secs=5)
    await cluster.cluster.jobs.wait_for_push(0)
    cluster.clock.ahead_s = 6
    async with asyncio.timeout(SOON_S):
        await cluster.cluster.jobs.wait_for_push(LONG_S)
    waiter = await waiting(cluster)
    assert not waiter.done()
    waiter.cancel()
