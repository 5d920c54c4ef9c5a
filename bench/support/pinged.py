"""The cluster of `bench/pings.py`: has N jobs out, and notes when it is asked about each."""

import asyncio
import json
import sys
import time

from tests.support.fake_cluster.jobs import FakeJob
from tests.support.fake_cluster.server import fake_cluster
from tests.support.until import until


async def main(jobs: int, rounds: int) -> None:
    async with fake_cluster() as fake:
        ids = [fake.api.jobs.push(FakeJob(code="", tag="bash", state="running")) for _ in range(jobs)]
        print(json.dumps({"url": fake.url, "token": fake.api.token("bash"), "jobs": ids}), flush=True)
        await until(lambda: len(fake.requests) >= jobs * rounds, within_s=600)
        cpu_s = time.process_time()
        asked = [(request.at_s, request.path.rpartition("/")[2]) for request in fake.requests]
        print(json.dumps({"asked": asked, "cpu_s": cpu_s}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
