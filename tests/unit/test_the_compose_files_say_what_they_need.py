"""The compose files, read: what they name is there, pinned, restarted, watched and explained."""

import re
import tomllib
from typing import Any, Final

import pytest
import yaml

from bridge.broker.setup import PLUGINS, rabbitmq_conf
from dev_tools.places import ROOT

FOLDER: Final = ROOT / "deploy" / "compose"
IMAGES: Final = ROOT / "deploy" / "docker"
SIDES: Final = ("cluster", "site")
VARIABLE: Final = re.compile(r"(?<!\$)\$\{(\w+)")
VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def compose(side: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / f"{side}.yaml").read_text()))


@pytest.mark.parametrize("side", SIDES)
def test_every_variable_is_explained_in_the_example(side: str) -> None:
    asked = set(VARIABLE.findall((FOLDER / f"{side}.yaml").read_text()))
    example = (FOLDER / f"{side}.env.example").read_text()
    assert asked == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


@pytest.mark.parametrize("side", SIDES)
def test_every_service_is_pinned_watched_and_started_again(side: str) -> None:
    for name, service in compose(side)["services"].items():
        tag = service["image"].rpartition("/")[2].partition(":")[2]
        assert re.search(r"\d", tag), f"{name} is pinned to no version"
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        assert "no-new-privileges:true" in service.get("security_opt", []) or name == "database"
        waited_for = service.get("depends_on", {}).values()
        assert all(one["condition"] == "service_healthy" for one in waited_for), name


@pytest.mark.parametrize("side", SIDES)
def test_secrets_are_files_and_what_must_last_is_in_volumes(side: str) -> None:
    file = compose(side)
    used = {one for service in file["services"].values() for one in service["secrets"]}
    assert {one: {"file": f"${{SECRETS:-./secrets}}/{one}"} for one in used} == file["secrets"]
    mounted = {one.partition(":")[0] for service in file["services"].values() for one in service["volumes"]}
    assert set(file["volumes"]) <= mounted
    assert all((FOLDER / one).is_file() for one in mounted if one.startswith("."))


@pytest.mark.parametrize(("side", "name"), [("cluster", "bridge"), ("site", "agent")])
def test_ours_have_no_rights_and_write_to_their_volume_alone(side: str, name: str) -> None:
    service = compose(side)["services"][name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["image"] == f"orvanta-{name}:${{ORVANTA_VERSION:-{VERSION}}}"
    assert (ROOT / service["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("name", ["agent", "bridge"])
def test_an_image_says_its_version_and_needs_no_root(name: str) -> None:
    lines = (IMAGES / f"{name}.Dockerfile").read_text().splitlines()
    assert f"ARG VERSION={VERSION}" in lines
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]


def test_the_broker_asks_the_bridge_as_the_bridge_would_have_it() -> None:
    kept = (FOLDER / "rabbitmq.conf").read_text().partition("\n")[2]
    assert kept == rabbitmq_conf("http://bridge:8000")
    enabled = (FOLDER / "enabled_plugins").read_text()
    assert set(PLUGINS) <= set(re.findall(r"\w+", enabled))
