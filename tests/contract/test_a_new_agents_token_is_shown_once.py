"""The drawer for a new agent: what was chosen is in the token, and nothing keeps the token."""

import html
import re

import pytest

from agent.wire.tokens import said_by
from dev_tools.places import ROOT
from tests.support.cluster import Running
from tests.support.fleet import site

ASKED = {"group": "shops", "tag": "till", "further": "pos-suva, pos-2", "devices": "one", "days": "30"}
TOKEN = re.compile(r'<pre id="token-\d+"[^>]*>(jwt_agent_[^<]+)</pre>')


async def test_it_carries_what_was_chosen(cluster: Running) -> None:
    page = (await cluster.admin.post("/workers/new", data=ASKED)).text
    (token,) = TOKEN.findall(page)
    claims = said_by(token)
    assert claims["worker_group"] == "shops"
    assert claims["tags"] == ["till", "pos-suva", "pos-2"]
    assert claims["exp"] - cluster.clock.wall_s() == pytest.approx(30 * 86_400, abs=60)
    assert page.count(token) == 4  # itself, and in the lines for Python, systemd and Docker
    assert "TAG_POLICIES" not in page
    assert token not in (await cluster.admin.get("/workers")).text
    (entry,) = (await cluster.admin.get("/api/audit/list")).json()
    assert (entry["operation"], entry["parameters"]["tags"]) == ("agent_workers.token.create", claims["tags"])
    assert token not in str(entry)


async def test_the_lines_for_docker_fit_the_compose_file(cluster: Running) -> None:
    page = (await cluster.admin.post("/workers/new", data=ASKED)).text
    (lines,) = re.findall(r'<pre id="docker"[^>]*>(.*?)</pre>', page, re.DOTALL)
    said = html.unescape(lines)
    site = (ROOT / "deploy/compose/site.yaml").read_text()
    assert "cd deploy/compose" in said
    assert "-f site.yaml" in said
    for setting, asked in (
        ("BASE_INTERNAL_URL=", "${BASE_INTERNAL_URL:?"),
        ("> secrets/agent_token", "agent_token:"),
    ):
        assert setting in said
        assert asked in site


async def test_tags_of_normal_workers_are_warned_of(cluster: Running) -> None:
    page = (await cluster.admin.post("/workers/new", data=ASKED | {"further": "flow"})).text
    assert "are for a normal worker" in page
    assert "are for a normal worker" not in (await cluster.admin.post("/workers/new", data=ASKED)).text


async def test_many_devices_get_a_token_each_or_share_one(cluster: Running) -> None:
    several = await cluster.admin.post("/workers/new", data=ASKED | {"devices": "many", "count": "3"})
    assert len(set(TOKEN.findall(several.text))) == 3
    (shared,) = TOKEN.findall(
        (await cluster.admin.post("/workers/new", data=ASKED | {"devices": "any"})).text
    )
    assert said_by(shared)["shared"] is True


async def test_other_defaults_are_a_line_of_settings(cluster: Running) -> None:
    wished = {"delivery": "at_most_once", "lost_after_h": "2"}
    page = (await cluster.admin.post("/workers/new", data=ASKED | wished)).text
    assert "TAG_POLICIES=" in page
    assert "at_most_once" in page
    usual = {"delivery": "at_least_once", "lost_after_h": "24"}
    assert "TAG_POLICIES=" not in (await cluster.admin.post("/workers/new", data=ASKED | usual)).text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tag": "", "further": ""}, "tags is empty"),
        ({"group": "a b"}, "worker_group must be"),
        ({"days": "0"}, "days must be a whole number"),
        ({"devices": "many", "count": "1000"}, "count must be"),
    ],
)
async def test_what_is_wrong_is_said_beside_what_was_typed(
    cluster: Running, wrong: dict[str, str], said: str
) -> None:
    answer = await cluster.admin.post("/workers/new", data=ASKED | wrong)
    assert answer.status_code == 400
    assert said in answer.text
    assert (await cluster.admin.get("/api/audit/list")).json() == []


async def test_tags_to_choose_say_whose_they_are(cluster: Running) -> None:
    await site(cluster, "suva", "pos", "only-suva")
    await site(cluster, "nadi", "pos")
    page = (await cluster.admin.get("/workers/new")).text
    assert re.search(r'value="gpu".*only for lab, ship', page)
    assert re.search(r'value="pos-\$args\[shop\]".*made from the job', page)
    assert 'name="tag" value="pos"' in page
    assert 'name="tag" value="only-suva"' not in page
    assert '<option value="only-suva">' in page


async def test_it_is_for_superadmins(cluster: Running) -> None:
    agent = await cluster.agent("till")
    assert (await agent.post("/workers/new", data=ASKED)).status_code == 303  # an agent is nobody here
