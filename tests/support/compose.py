"""The compose files of deploy/compose as this machine's engine runs them: images, services, networks."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dev_tools.places import ROOT

FILES: Final = ROOT / "deploy" / "compose"
BUILD_S: Final = 600
UP_S: Final = 120
CALL_S: Final = 60


class Engine:
    """Docker with its compose plugin, or podman with podman-compose."""

    def __init__(self, command: str, compose: list[str], build: list[str]) -> None:
        self._command: Final = command
        self.compose: Final = compose
        self._build: Final = build

    def run(self, *words: str, within_s: float = CALL_S) -> str:
        """What `docker WORDS` says. A failure has all of it."""
        return _said([self._command, *words], within_s=within_s)

    def exit_code(self, *words: str) -> int:
        return subprocess.run(
            [self._command, *words], capture_output=True, timeout=CALL_S, check=False
        ).returncode

    def build(self, name: str, version: str) -> str:
        """The image of deploy/docker/<name>.Dockerfile; its full name."""
        image = f"orvanta-{name}:{version}"
        file = f"deploy/docker/{name}.Dockerfile"
        self.run("build", *self._build, "-t", image, "-f", file, str(ROOT), within_s=BUILD_S)
        return image

    def inspect(self, container: str) -> dict[str, Any]:
        (said,) = json.loads(self.run("inspect", container))
        return dict(said)

    def gateway(self, network: str) -> str:
        """This machine's address in it."""
        (said,) = json.loads(self.run("network", "inspect", network))
        kept = said["subnets"] if "subnets" in said else said["IPAM"]["Config"]  # podman's word, Docker's
        return str(kept[0].get("gateway") or kept[0]["Gateway"])

    @contextmanager
    def cut_off(self, container: str) -> Iterator[None]:
        """Packets vanish on the way out and in, and sockets stay. Needs root, nsenter and iptables."""
        rules = [("OUTPUT", "-o"), ("INPUT", "-i")]
        self._change(container, "-A", rules)
        try:
            yield
        finally:
            self._change(container, "-D", rules)

    def _change(self, container: str, how: str, rules: list[tuple[str, str]]) -> None:
        pid = str(self.inspect(container)["State"]["Pid"])
        for chain, way in rules:
            _said(
                ["nsenter", "-t", pid, "-n", "iptables", how, chain, "!", way, "lo", "-j", "DROP"],
                within_s=CALL_S,
            )

    def is_healthy(self, container: str) -> bool:
        """By its health check. Podman has that run by systemd, which may be missing here."""
        if "podman" in self._command:
            return self.exit_code("healthcheck", "run", container) == 0
        return bool(self.inspect(container)["State"]["Health"]["Status"] == "healthy")


def engine_here() -> Engine | None:
    """None where there is neither."""
    if shutil.which("podman") and (os.environ.get("CONTAINERS_CONF") or not shutil.which("docker")):
        # Without `docker` as its format podman leaves HEALTHCHECK out.
        return Engine(
            "podman", [sys.executable, "-m", "podman_compose"], ["--format=docker", "--network=host"]
        )
    if shutil.which("docker") and not _fails("docker", "compose", "version") and not _fails("docker", "info"):
        return Engine("docker", ["docker", "compose"], [])
    return None


class Project:
    """One compose file that is up."""

    def __init__(self, engine: Engine, name: str, file: str, settings: Mapping[str, str]) -> None:
        self._engine: Final = engine
        self.name: Final = name
        self._command: Final = [*engine.compose, "-p", name, "-f", str(FILES / file)]
        self._env: Final = {**os.environ, **settings}

    def container(self, service: str) -> str:
        """Its name."""
        listed = self._engine.run(
            "ps", "-a", "--filter", f"label=com.docker.compose.project={self.name}",
            "--filter", f"label=com.docker.compose.service={service}", "--format", "{{.Names}}",
        )  # fmt: skip
        (name,) = listed.split()
        return name

    def logs(self, service: str) -> str:
        return self._engine.run("logs", self.container(service))

    def call(self, *words: str) -> None:
        _said([*self._command, *words], within_s=UP_S, env=self._env)


@contextmanager
def project(engine: Engine, name: str, file: str, settings: Mapping[str, str]) -> Iterator[Project]:
    """It goes with its volumes and its network."""
    up = Project(engine, name, file, settings)
    try:
        up.call("up", "-d")
        yield up
    finally:
        up.call("down", "-v", "-t", "1")


def _said(command: list[str], *, within_s: float, env: Mapping[str, str] | None = None) -> str:
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=within_s, env=env, check=False, cwd=ROOT
    )
    assert ended.returncode == 0, f"{' '.join(command)}: {ended.stdout[-2000:]}{ended.stderr[-4000:]}"
    return ended.stdout


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=CALL_S, check=False).returncode != 0


def secrets_in(folder: Path, secrets: Mapping[str, str]) -> Path:
    """As docs/containers.md makes them: anybody's to read, in a folder that only its owner enters."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, text in secrets.items():
        file = folder / name
        file.write_text(f"{text}\n")
        file.chmod(0o444)
    return folder
