"""`./dev check`: the one gate, the same on a desk and in CI. The cheap questions come first."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev_tools.places import ROOT, RUN, SIDE_BY_SIDE

AUDIT_S: Final = 240
COVERED_PERCENT: Final = 90  # of lines and branches
CUSTODY_PERCENT: Final = 99  # what only a race or a full disk reaches may be missed in one run
COVERED_WHOLLY: Final = ("agent/wire", "agent/jobs", "agent/spool", "bridge/relay")  # custody
# What pip-audit says when its service is out of reach, which is no finding.
UNREACHABLE: Final = (
    "ConnectionError",
    "ServiceError",
    "Connection refused",
    "timed out",
    "Max retries",
    "ProxyError",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a step ended; `text` is shown when it failed, `note` always."""

    passed: bool
    text: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    run: Callable[[], Verdict]


def run_gate(arguments: Sequence[str]) -> int:
    """Every step runs, also after one that failed, so that one call shows all there is to mend."""
    parser = argparse.ArgumentParser(prog="./dev check")
    parser.add_argument(
        "--fast", action="store_true", help="only what needs neither a broker nor the network"
    )
    options = parser.parse_args(arguments)
    failed = [step.name for step in (FAST if options.fast else FAST + SLOW) if not _passes(step)]
    if not options.fast:  # last, so that pytest's summary and what no test reached end the output
        if not _tests_pass():
            failed.append("tests")
        failed += [step.name for step in AFTER_TESTS if not _passes(step)]
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def _passes(step: Step) -> bool:
    began_s = time.monotonic()
    verdict = step.run()
    took = f"{time.monotonic() - began_s:.1f} s"
    print(
        f"{'ok    ' if verdict.passed else 'FAILED'} {step.name} ({took}) {verdict.note}".rstrip(), flush=True
    )
    if not verdict.passed:
        print(verdict.text, flush=True)
    return verdict.passed


def _tool(*command: str) -> Callable[[], Verdict]:
    def run() -> Verdict:
        ended = _call(command)
        return Verdict(ended.returncode == 0, ended.stdout)

    return run


def _call(command: Sequence[str], timeout_s: float | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a tool of the environment; its errors stand in `stdout` with the rest."""
    tool, *arguments = command
    return subprocess.run(
        [Path(sys.executable).with_name(tool), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def build_site() -> Verdict:
    """docs/ as a static site in .run/site, which a broken link or anchor fails."""
    site = RUN / "site"
    ended = _call(["properdocs", "build", "--strict", "--site-dir", str(site)])
    return Verdict(ended.returncode == 0, ended.stdout, f"open {site / 'index.html'}")


def _audit() -> Verdict:
    """Known vulnerabilities in what constraints.txt pins. Skipped aloud when the service is out of reach."""
    command = ["pip-audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"]
    command += ["--progress-spinner", "off", "--cache-dir", str(RUN / "cache" / "pip-audit")]
    try:
        ended = _call(command, AUDIT_S)
    except subprocess.TimeoutExpired:
        return Verdict(passed=True, note="SKIPPED: its service did not answer in time")
    if ended.returncode and any(sign in ended.stdout for sign in UNREACHABLE):
        return Verdict(passed=True, note="SKIPPED: its service is out of reach")
    return Verdict(ended.returncode == 0, ended.stdout)


def _tests_pass() -> bool:
    """The whole suite, with branch coverage of the product's own processes too."""
    command = [sys.executable, "-m", "pytest", *SIDE_BY_SIDE, "--cov", "--cov-report=term:skip-covered"]
    command += [f"--cov-fail-under={COVERED_PERCENT}"]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


def every_line_is_covered(rooms: Sequence[str] = COVERED_WHOLLY, run: Path = RUN) -> Verdict:
    """Of these rooms, by the whole suite that has just run; else it says where no test was."""
    command = [
        "coverage",
        "report",
        "--data-file",
        str(run / "coverage" / "data"),
        f"--fail-under={CUSTODY_PERCENT}",
    ]
    command += ["--skip-covered", "--include", ",".join(f"{room}/*" for room in rooms)]
    ended = _call(command)
    return Verdict(ended.returncode == 0, ended.stdout)


FAST: Final = [
    Step("format", _tool("ruff", "format", "--check", ".")),
    Step("lint", _tool("ruff", "check", ".")),
    Step("types", _tool("mypy")),
    Step("import contracts", _tool("lint-imports", "--no-cache")),
    # The agent has to run on the plain dependencies alone: for it the bridge's are as foreign as ours.
    Step(
        "dependencies of the agent",
        _tool("deptry", "agent", "--optional-dependencies-dev-groups", "bridge,dev"),
    ),
    Step("dependencies", _tool("deptry", "agent", "bridge")),
    Step("docs", build_site),
]
SLOW: Final = [Step("known vulnerabilities", _audit)]
AFTER_TESTS: Final = [Step("every line of custody", every_line_is_covered)]
