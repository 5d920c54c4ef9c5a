"""Waits as the agent's link does between two tries, and says how the wait ended.

python -m tests.support.waits_for_interface SECONDS
"""

import asyncio
import sys

from agent.link.interfaces import until_interface_up

if __name__ == "__main__":
    print("waiting", flush=True)
    came_up = asyncio.run(until_interface_up(float(sys.argv[1])))
    print("an interface came up" if came_up else "the time is over", flush=True)
