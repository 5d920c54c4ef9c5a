"""Bridge and agent with nothing but Python between them: the link is HTTP, and the promises are the same."""

from tests.support.until import until
from tests.support.world import World

PYTHON = "def main(n: int, word: str = 'x'):\n    print('working')\n    return word * n"


async def test_jobs_make_the_round_trip(brokerless: World) -> None:
    await brokerless.agent("bash", "python", slots=2)
    hello = brokerless.cluster.submit('name="$1"\necho "hello $name"', "bash", args={"name": "süd"})
    large = brokerless.cluster.submit(PYTHON, "python", "python3", {"n": 300_000})
    failing = brokerless.cluster.submit("exit 3", "bash")
    assert (await brokerless.cluster.done(hello))["result"] == "hello süd"
    assert (await brokerless.cluster.done(large))["result"] == "x" * 300_000
    assert (await brokerless.cluster.done(failing))["result"]["error"]["exit_code"] == 3
    await until(lambda: brokerless.cluster.logs(large).count("working\n") == 1)
