"""deploy/install-site.sh, in a root of its own: as often as wanted, and back. Nothing is started there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from dev_tools.places import ROOT
from tests.support.wheels import wheel

SCRIPT: Final = ROOT / "deploy" / "install-site.sh"
TOKEN: Final = "jwt_agent_aaa.bbb.ccc"
URL: Final = "https://bridge.example.com"
# A small wheel of our name stands in for ours, which test_the_wheel_holds_all_that_the_programs_need.py has.
ENTRY: Final = "[console_scripts]\norvanta-agent = agent_of_a_test:main\n"


def release(folder: Path, number: str) -> Path:
    code = f"def main():\n    print('release {number}')\n"
    info = f"orvanta_edge-{number}.dist-info"
    return wheel(
        folder, "orvanta_edge", number, {"agent_of_a_test.py": code, f"{info}/entry_points.txt": ENTRY}
    )


def call(*words: str | Path, told: str = "") -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1"}
    command = ["sh", str(SCRIPT), *map(str, words)]
    return subprocess.run(command, input=told, capture_output=True, text=True, check=False, env=env)


def install(root: Path, of: Path, *words: str, told: str = "") -> str:
    ended = call("--root", root, "--from", of, "--python", sys.executable, *words, told=told)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def content(root: Path) -> dict[str, tuple[int, str]]:
    """What stands in it, without what pip has installed: mode and text, or where a link leads."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() and "/bin/" not in name and "lib64" not in name:
            found[name] = (0, str(path.readlink()))
        elif path.is_file() and not name.startswith("opt/"):
            found[name] = (path.stat().st_mode & 0o777, path.read_text())
    return found


def says(root: Path) -> str:
    """What the installed program prints. Its first line names the Python below /opt, as it will be."""
    program = root / "opt/orvanta/current/bin/orvanta-agent"
    assert str(root) not in program.read_text()
    command = [root / "opt/orvanta/current/bin/python", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_twice_then_newer_then_undone(tmp_path: Path) -> None:
    root = tmp_path / "root"
    install(root, release(tmp_path, "1.0"), "--url", URL, told=TOKEN)
    first = content(root)
    assert first["etc/orvanta/agent.token"] == (0o600, f"{TOKEN}\n")
    assert first["etc/orvanta/agent.env"][1].startswith(f"BASE_INTERNAL_URL={URL}\n")
    unit = (ROOT / "deploy/systemd/orvanta-agent.service").read_text()
    assert first["etc/systemd/system/orvanta-agent.service"] == (0o644, unit)
    assert says(root) == "release 1.0"
    assert install(root, release(tmp_path, "1.0")) == "everything was as it should be.\n"
    assert content(root) == first

    settings = root / "etc/orvanta/agent.env"
    settings.write_text(f"{settings.read_text()}SPOOL_QUOTA_MB=100\n")
    install(root, release(tmp_path, "2.0"), "--url", "http://other:8000", "--separate-jobs")
    assert says(root) == "release 2.0"
    assert len(list((root / "opt/orvanta").iterdir())) == 2  # what runs, and its name
    assert settings.read_text().startswith("BASE_INTERNAL_URL=http://other:8000\n")
    assert settings.read_text().endswith("\nSPOOL_QUOTA_MB=100\n")
    assert content(root)["etc/orvanta/agent.token"] == (0o600, f"{TOKEN}\n")
    assert "etc/systemd/system/orvanta-agent.service.d/jobs-of-their-own.conf" in content(root)

    spool = root / "var/lib/orvanta-agent/spool.db"
    spool.parent.mkdir(parents=True)
    spool.write_text("results that have not left")
    assert "the spool stays" in call("--uninstall", "--root", root).stderr
    assert list(content(root)) == ["var/lib/orvanta-agent/spool.db"]
    assert call("--uninstall", "--root", root).returncode == 0  # again: there is nothing left to do
    call("--uninstall", "--purge", "--root", root)
    assert content(root) == {}


def test_a_release_that_cannot_be_installed_leaves_what_runs(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "opt/orvanta/1.0-1").mkdir(parents=True)
    (root / "opt/orvanta/current").symlink_to("1.0-1")
    broken = tmp_path / "orvanta_edge-2.0-py3-none-any.whl"
    broken.write_text("half of it")
    ended = call("--root", root, "--from", broken, "--python", sys.executable, "--url", URL, told=TOKEN)
    assert ended.returncode == 1
    assert ended.stderr.endswith("it could not be installed; what ran before runs on.\n")
    assert [path.name for path in sorted((root / "opt/orvanta").iterdir())] == ["1.0-1", "current"]
    assert content(root) == {"opt/orvanta/current": (0, "1.0-1")}


@pytest.mark.parametrize(
    ("words", "told", "why"),
    [
        (["--url", URL], "", "the agent's token is missing"),
        (["--url", URL], "secret", "what came in is no agent token"),
        ([], TOKEN, "the bridge's address is missing"),
        (["--url", "bridge"], TOKEN, "--url must be"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_changed(
    words: list[str], told: str, why: str, tmp_path: Path
) -> None:
    ended = call("--root", tmp_path / "root", *words, told=told)
    assert ended.returncode == 1
    assert ended.stderr.startswith(why)
    assert not (tmp_path / "root").exists()


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd runs here")
def test_without_systemd_it_says_how_to_start_by_hand() -> None:
    ended = call("--url", URL, told=TOKEN)
    assert ended.returncode == 1
    assert "nothing was installed" in ended.stderr
    assert f"BASE_INTERNAL_URL={URL} ./orvanta/bin/orvanta-agent --spool ./spool" in ended.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck: apt-get install shellcheck")
def test_shellcheck_finds_nothing() -> None:
    subprocess.run(["shellcheck", SCRIPT], check=True)
