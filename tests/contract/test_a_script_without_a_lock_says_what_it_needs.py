"""`precomputed_agent_info` of pull_job (agent-api.md 3.3)."""

from typing import Any

import pytest

from tests.support.cluster import Running

LISTED = "# requirements:\n# httpx==0.28.1\n#  rich\n#\n\nimport httpx\n\ndef main():\n    pass\n"


async def told(cluster: Running, code: str, **body: Any) -> Any:
    agent = await cluster.agent("python3")
    await cluster.preview(code, **{"language": "python3", **body})
    return (await agent.post("/api/agent_workers/pull_job", json=None)).json()["precomputed_agent_info"]


@pytest.mark.parametrize(
    ("code", "version", "requirements"),
    [
        (LISTED, None, "httpx==0.28.1\nrich"),
        ("# py: 3.12\n" + LISTED, "3.12", "httpx==0.28.1\nrich"),
        ("#py311\ndef main():\n    pass\n", "3.11", None),
        (
            "# py: >=3.12\nimport httpx, os\n\ndef main():\n    # requirements:\n    # rich\n    pass\n",
            "3.12",
            "httpx",
        ),
    ],
)
async def test_what_it_says(
    cluster: Running, code: str, version: str | None, requirements: str | None
) -> None:
    assert await told(cluster, code) == {
        "Python": {"py_version": None, "py_version_v2": version, "requirements": requirements}
    }


async def test_nothing_where_it_says_nothing_or_has_a_lock(cluster: Running) -> None:
    said_too_late = "import os\n\ndef main():\n    import httpx\n    # requirements:\n    # rich\n    pass\n"
    assert await told(cluster, said_too_late) is None
    assert await told(cluster, LISTED, lock="httpx==0.28.1") is None
    assert await told(cluster, LISTED, language="bash", tag="python3") is None
