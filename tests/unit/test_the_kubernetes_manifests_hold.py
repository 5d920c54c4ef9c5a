"""The manifests, offline: by Kubernetes' own schemas, as kustomize builds them, and by what a spool needs."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from bridge.broker.setup import PLUGINS, rabbitmq_conf
from dev_tools.places import ROOT

FOLDER: Final = ROOT / "deploy" / "kubernetes"
RELEASE: Final = "1.37"
APPLIED: Final = (
    "cluster/overlays/one-node",
    "cluster/overlays/three-nodes",
    "agent/statefulset",
    "agent/daemonset",
)
BY_OPERATORS: Final = {"RabbitmqCluster", "Kustomization"}  # Kubernetes has no schema of them
VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


@cache
def built(folder: str) -> dict[str, Manifest]:
    """What would be applied, by kind."""
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        if shutil.which(command[0]):
            text = subprocess.run(
                [*command, str(FOLDER / folder)], capture_output=True, text=True, check=True
            ).stdout
            return {one["kind"]: one for one in yaml.safe_load_all(text)}
    pytest.skip("neither kustomize nor kubectl is here")


def named_in(value: object, key: str) -> Iterator[str]:
    """What stands under `key`, however deep, or under `name` below it."""
    if isinstance(value, list):
        for one in value:
            yield from named_in(one, key)
    elif isinstance(value, dict):
        for name, below in value.items():
            if name == key:
                yield below["name"] if isinstance(below, dict) else below
            else:
                yield from named_in(below, key)


@pytest.mark.parametrize(
    "path", sorted(FOLDER.rglob("*.yaml")), ids=lambda path: str(path.relative_to(FOLDER))
)
def test_every_manifest_keeps_to_its_schema(path: Path) -> None:
    for one in documents(path):
        if one["kind"] not in BY_OPERATORS:
            kubernetes_validate.validate(one, RELEASE, strict=True)


@pytest.mark.parametrize(
    "path", sorted(FOLDER.rglob("kustomization.yaml")), ids=lambda path: path.parent.name
)
def test_every_kustomization_names_what_is_there_and_our_version(path: Path) -> None:
    (one,) = documents(path)
    named = [*one["resources"], *(patch["path"] for patch in one.get("patches", []))]
    assert [name for name in named if not (path.parent / name).exists()] == []
    assert {image["newTag"] for image in one.get("images", [])} <= {VERSION}
    assert one["namespace"] == "orvanta"


@pytest.mark.parametrize("folder", APPLIED)
def test_each_builds_and_what_it_needs_is_made_or_told_of(folder: str) -> None:
    made = built(folder)
    for one in made.values():
        if one["kind"] not in BY_OPERATORS:
            kubernetes_validate.validate(one, RELEASE, strict=True)
    names = {one["metadata"]["name"] for one in made.values()}
    assert set(named_in(list(made.values()), "configMapRef")) <= names
    told = (ROOT / "docs" / "kubernetes.md").read_text()
    for secret in {
        *named_in(list(made.values()), "secretName"),
        *named_in(list(made.values()), "secretKeyRef"),
    }:
        assert f"`{secret}`" in told, secret


@pytest.mark.parametrize(("folder", "nodes"), [(APPLIED[0], 1), (APPLIED[1], 3)])
def test_a_bridge_may_go_and_another_is_there(folder: str, nodes: int) -> None:
    made = built(folder)
    bridge = made["Deployment"]["spec"]
    assert bridge["replicas"] >= 2
    assert bridge["template"]["spec"]["affinity"]["podAntiAffinity"]
    assert made["PodDisruptionBudget"]["spec"]["minAvailable"] >= 1
    (container,) = bridge["template"]["spec"]["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert made["RabbitmqCluster"]["spec"]["replicas"] == nodes
    assert made["ConfigMap"]["data"]["BROKER_NODES"] == str(nodes)


@pytest.mark.parametrize(("folder", "kind"), [(APPLIED[2], "StatefulSet"), (APPLIED[3], "DaemonSet")])
def test_a_spool_outlives_its_pod_and_has_one_agent(folder: str, kind: str) -> None:
    spec = built(folder)[kind]["spec"]
    pod = spec["template"]["spec"]
    if kind == "StatefulSet":
        (claim,) = spec["volumeClaimTemplates"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
        assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
        spool = claim["metadata"]["name"]
    else:
        assert spec["updateStrategy"]["rollingUpdate"]["maxSurge"] == 0
        (spool,) = (one["name"] for one in pod["volumes"] if "hostPath" in one)
    assert {"name": spool, "mountPath": "/var/lib/orvanta"} in pod["containers"][0]["volumeMounts"]


@pytest.mark.parametrize("folder", APPLIED)
def test_nothing_of_ours_has_rights_it_does_not_need(folder: str) -> None:
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        if kind not in built(folder):
            continue
        pod = built(folder)[kind]["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
        for one in pod["containers"]:
            limits = one["securityContext"]
            assert (limits["readOnlyRootFilesystem"], limits["allowPrivilegeEscalation"]) == (True, False)
            assert limits["capabilities"] == {"drop": ["ALL"]}


def test_the_broker_asks_the_bridge_as_the_bridge_would_have_it() -> None:
    (broker,) = documents(FOLDER / "cluster" / "base" / "broker.yaml")
    told = broker["spec"]["rabbitmq"]
    assert told["additionalConfig"] == rabbitmq_conf("http://bridge:8000")
    assert {*told["additionalPlugins"], "rabbitmq_management"} == set(PLUGINS)  # that one is always enabled
    assert re.search(r":\d", broker["spec"]["image"])
