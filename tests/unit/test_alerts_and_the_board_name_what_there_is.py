"""deploy/observability: each expression is made of figures and functions that exist; promtool agrees."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from agent.figures import Figures
from agent.site.metrics import text_of as text_of_site
from bridge.fleet.model import NO_HISTORY, Agent, Kind, State
from bridge.fleet.service import Fleet
from bridge.metrics.census import Census
from bridge.metrics.families import Standing, of_bridge, of_cluster, of_each_agent
from bridge.metrics.figures import REGISTRY
from bridge.metrics.routes import text_of
from bridge.wiring.watching import begin_at_zero
from dev_tools.places import ROOT
from tests.unit.test_a_site_tells_its_figures import status

FOLDER: Final = ROOT / "deploy" / "observability"
PAGE: Final = (ROOT / "docs" / "watching.md").read_text()
WORDS: Final = {"by", "and", "or", "unless", "on", "without", "bool", "offset", "ignoring"}
FUNCTIONS: Final = {
    "absent", "changes", "histogram_quantile", "increase", "max", "min", "rate", "sum", "time", "vector",
}  # fmt: skip
TARGETS: Final = {"instance", "job"}  # Prometheus' own
NAME: Final = re.compile(r"[a-zA-Z_:][\w:]*")
SELECTOR: Final = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
BY: Final = re.compile(r"\bby \(([^)]*)\)")

Labels = Mapping[str, set[str]]


def shown() -> str:
    """All that a bridge and a site can show."""
    begin_at_zero()
    agent = Agent(worker="ag-a-b", group="a", kind=Kind.BROKER, state=State.UP, since=0.0, last_heard=0.0)
    census = Census(1.0, Fleet(1.0, [agent], {}, NO_HISTORY, ()), letters={"job": 1})
    standing = Standing("1", "3", leads=True, broker_up=True, certificate_ends=1.0)
    found = [*of_bridge(standing, store_up=True), *of_cluster(census), *of_each_agent(census)]
    return (text_of(found) + text_of([*REGISTRY.collect()])).decode() + text_of_site(status(), Figures())


@pytest.fixture(scope="module")
def figures() -> Labels:
    """The labels of each series, by its name."""
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(shown()):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def rules() -> list[dict[str, Any]]:
    text = (FOLDER / "alerts.yml").read_text()
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def board() -> Iterator[tuple[str, str]]:
    whole = json.loads((FOLDER / "board.json").read_text())
    for annotation in whole["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for panel in whole["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def expressions() -> list[tuple[str, str]]:
    return [*((rule["alert"], rule["expr"]) for rule in rules()), *board()]


def strangers(expression: str, figures: Labels) -> set[str]:
    """What in it is no figure, no label of its figures, no function and no word of the language."""
    text = expression.replace("$__rate_interval", "5m")
    found: set[str] = set()
    known: set[str] = set(TARGETS)
    for name, body in SELECTOR.findall(text):
        asked = {part.split("=")[0].strip(" !") for part in re.sub(r'"[^"]*"', "", body).split(",") if part}
        found |= {f"{name}{{{label}}}" for label in asked - figures.get(name, set()) - TARGETS}
    bare = re.sub(r"\[[^]]*\]|\{[^}]*\}", "", text)
    names = set(NAME.findall(BY.sub(" ", bare)))
    for name in names & set(figures):
        known |= figures[name]
    labels = {label.strip() for group in BY.findall(bare) for label in group.split(",")}
    return found | (labels - known) | (names - set(figures) - WORDS - FUNCTIONS)


@pytest.mark.parametrize(("title", "expression"), expressions())
def test_an_expression_names_only_what_exists(title: str, expression: str, figures: Labels) -> None:
    assert strangers(expression, figures) == set(), title
    assert any(name in figures for name in NAME.findall(expression))
    for opened, closed in ("()", "[]", "{}"):
        assert expression.count(opened) == expression.count(closed)


@pytest.mark.parametrize(
    ("expression", "stranger"),
    [
        ("max(orvanta_no_such)", "orvanta_no_such"),
        ('max(orvanta_queue_jobs{mood="good"})', "orvanta_queue_jobs{mood}"),
        ("sum by (mood) (orvanta_queue_jobs)", "mood"),
        ("mux(orvanta_queue_jobs)", "mux"),
    ],
)
def test_a_wrong_one_is_found(expression: str, stranger: str, figures: Labels) -> None:
    assert strangers(expression, figures) == {stranger}


def test_every_alert_says_what_it_means_and_has_its_place_on_the_page() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
    assert set(re.findall(r"^\| `(Orvanta\w+)` \|", PAGE, re.MULTILINE)) == {
        rule["alert"] for rule in rules()
    }


def test_every_figure_is_on_the_page() -> None:
    families = {family.name for family in text_string_to_metric_families(shown())}
    ours = {name for name in families if name.startswith("orvanta_")}
    told = {name.removesuffix("_total") for name in re.findall(r"^\| `(orvanta_\w+)` \|", PAGE, re.MULTILINE)}
    assert told == ours


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed here")
@pytest.mark.parametrize(
    "command",
    ["check rules alerts.yml", "test rules alerts.test.yml", "check config --syntax-only prometheus.yml"],
)
def test_promtool_agrees(command: str) -> None:
    ended = subprocess.run(
        ["promtool", *command.split()], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
