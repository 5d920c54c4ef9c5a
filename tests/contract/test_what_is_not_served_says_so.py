"""docs/compatibility.md names each endpoint that we do not serve; those for agents answer with the reason."""

import re

from bridge.agents.unserved import UNSERVED
from dev_tools.places import ROOT
from tests.support.cluster import Running

NAMED = re.compile(r"^- `(GET|POST|PUT) (/api/\S+)`: ", re.MULTILINE)


def named() -> list[tuple[str, str]]:
    return NAMED.findall((ROOT / "docs" / "compatibility.md").read_text().partition("## Not served")[2])


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(?::path)?\}", lambda match: "main" if match[1] == "workspace" else "7", path)


async def test_an_agent_is_told_why(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    for method, path, why in UNSERVED:
        answer = await agent.request(method, filled(path), json={})
        assert answer.status_code == 404, path
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == f"not served: {why}"


async def test_a_stranger_learns_nothing(cluster: Running) -> None:
    for method, path, _ in UNSERVED:
        if "/volumes/" not in path:
            assert (await cluster.client(None).request(method, filled(path), json={})).status_code == 401


async def test_the_page_names_them_and_nothing_that_is_served(cluster: Running) -> None:
    told = {(method, path.replace(":path}", "}")) for method, path, _ in UNSERVED}
    assert told <= set(named())
    assert len(named()) > len(told)
    for method, path in named():
        answer = await cluster.admin.request(method, filled(path), json={})
        assert answer.status_code in ({401, 404} if (method, path) in told else {404}), path
