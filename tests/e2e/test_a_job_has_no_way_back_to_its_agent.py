"""A site as it should be run: a root agent, jobs of another user, a key, a policy; and a job that tries."""

import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from agent.logs import Secret
from agent.spool.credentials import Credentials
from agent.spool.key_note import opened
from agent.spool.sealing import Seal
from agent.trust import SigningKey
from dev_tools.places import ROOT
from tests.support.until import until
from tests.support.world import Agent, World, environment

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start processes of another user")

ACCOUNT: Final = pwd.getpwnam("nobody")
THIEF: Final = r"""
key="$1"
printf '%s' "${key:0:9}"; sleep 0.05; echo "${key:9}"
try() {
    name=$1; shift
    if timeout 10 "$@" > /dev/null 2>&1; then echo "got $name"; else echo "refused $name"; fi >> attempts
}
try to-try true
for file in spool.db spool.db-wal spool.db-shm identity key-id key-id.copy device.key bridge.keys \
            lock room; do
    try "$file" cat @SPOOL@/$file
done
for folder in . blobs work; do try "ls $folder" ls @SPOOL@/$folder; done
for folder in . blobs work; do try "touch $folder" touch @SPOOL@/$folder/x; done
try token-file cat @SITE@/agent_token
try key-file cat @SITE@/spool_key
try policy-file tee -a @SITE@/policy.toml < /dev/null
for file in environ maps mem auxv io stack syscall; do try "agent's $file" head -c 1 /proc/$PPID/$file; done
for name in fd map_files task/$PPID/fd; do try "agent's $name" ls /proc/$PPID/$name/; done
for name in cwd root exe fd/0; do try "agent's $name" readlink /proc/$PPID/$name; done
try "agent's memory by link" ls /proc/$PPID/root/
try kill kill -0 $PPID
try stop kill -STOP $PPID
try ptrace @PYTHON@ -c "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, $PPID, 0, 0) != 0)"
try process_vm_readv @PYTHON@ -c "
import ctypes, sys
class V(ctypes.Structure): _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]
own = ctypes.create_string_buffer(8); here = V(ctypes.addressof(own), 8); there = V(0x400000, 8)
read = ctypes.CDLL(None, use_errno=True).process_vm_readv
sys.exit(read($PPID, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0 and ctypes.get_errno() == 1)"
try limits @PYTHON@ -c "import resource; resource.prlimit($PPID, resource.RLIMIT_NOFILE, (0, 0))"
try setuid-program bash -c '[ "$(@SITE@/id -u)" = 0 ]'
try groups bash -c '[ "$(id -G)" != @GID@ ]'
try capabilities grep -E 'Cap(Inh|Prm|Eff|Amb):\s*0*[1-9a-f]' /proc/self/status
try new-privileges grep -E 'NoNewPrivs:\s*0' /proc/self/status
try environment bash -c 'env | grep -E "AGENT_TOKEN|SPOOL_KEY|CREDENTIALS|HOME=/root"'
try files bash -c 'ls /proc/self/fd | grep -vxE "0|1|2|3"'
try "another's process" bash -c 'cat /proc/1/environ'
cat attempts > result.out
"""
LINKS: Final = "ln -s @SPOOL@/identity result.json; ln @SPOOL@/identity result.out; echo mine"


TOOLS: Final = {
    "status": "status",
    "ls": "spool ls",
    "verify": "spool verify --json",
    "export": "spool export --to {}",
}


@dataclass(frozen=True)
class Site:
    """What its owner has put on the machine."""

    folder: Path  # every user passes through it
    planted: str  # a secret of a job
    token: str

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def key(self) -> str:
        return (self.folder / "spool_key").read_text().strip()

    @property
    def device(self) -> SigningKey:
        """The key of its agent, as only who has the key of the spool reads it."""
        seal = opened(self.spool, Seal(bytes.fromhex(self.key)))
        return Credentials(self.spool, Secret(self.token), seal, is_new=False).device

    def code(self, text: str) -> str:
        python = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin") or "python3"
        words = {"SPOOL": self.spool, "SITE": self.folder, "GID": ACCOUNT.pw_gid, "PYTHON": python}
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        return text

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        file.chmod(0o600)
        return file


@pytest.fixture
def site(brokerless: World) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="site-") as name:
        made = Site(Path(name), f"till-{secrets.token_hex(12)}", brokerless.cluster.token("bash"))
        made.folder.chmod(0o711)
        made.write("agent_token", made.token)
        made.write("spool_key", secrets.token_hex(32))
        made.write("policy.toml", 'languages = ["bash"]\n[limits]\ntimeout_s = 60\n')
        shutil.copy("/usr/bin/id", made.folder / "id")
        (made.folder / "id").chmod(0o4755)
        yield made


def agent_at(site: Site, world: World) -> Agent:
    settings = {
        "MODE": "agent",
        "AGENT_TOKEN_FILE": str(site.folder / "agent_token"),
        "SPOOL_KEY_FILE": str(site.folder / "spool_key"),
        "BASE_INTERNAL_URL": world.url_at("127.0.0.1"),
    }
    options = ["--user", "nobody", "--policy", str(site.folder / "policy.toml")]
    return Agent(world.folder / "site", settings, options, site.spool)


def told_by(site: Site, agent: Agent) -> dict[str, bytes]:
    """All that anybody may see of the agent and of its disk, but for the files of jobs that run."""
    out = site.folder / "out"
    tools = {
        name: subprocess.run(
            [sys.executable, "-m", "agent", *words.format(out).split(), "--spool", str(site.spool)],
            env=environment({"SPOOL_KEY_FILE": str(site.folder / "spool_key")}),
            cwd=ROOT, capture_output=True, check=True,
        ).stdout
        for name, words in TOOLS.items()
    }  # fmt: skip
    exported = [path for path in out.rglob("*") if path.is_file()]
    kept = [path for path in site.spool.rglob("*") if path.is_file() and "work" not in path.parts]
    lines = [process / "cmdline" for process in Path("/proc").iterdir() if process.name.isdecimal()]
    seen = {str(path): read(path) for path in (*exported, *kept, *lines, agent.log)}
    return {name: content for name, content in (tools | seen).items() if content}


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # a process that has ended
        return b""


async def test_nothing_of_the_agent_is_within_a_jobs_reach_and_no_secret_is_told(
    brokerless: World, site: Site
) -> None:
    variable = {"path": "f/shop/till", "value": site.planted, "is_secret": True}
    brokerless.cluster.post("/api/w/main/variables/create", variable)
    agent = agent_at(site, brokerless)
    try:
        await agent.start()
        gate, args = site.folder / "gate", {"key": "$var:f/shop/till"}
        gated = f"while [ ! -e {gate} ]; do sleep 0.05; done\n"
        thief = brokerless.cluster.submit(gated + site.code(THIEF), "bash", args=args)
        waiting = brokerless.cluster.submit('key="$1"; echo "$key"', "bash", args=args)
        await until(lambda: agent.status()["custody"] == {"ready": 1, "started": 1}, within_s=30)
        told = told_by(site, agent)
        gate.touch()
        attempts = (await brokerless.cluster.done(thief, within_s=60))["result"].splitlines()
        assert [one for one in attempts if not one.startswith("refused")] == ["got to-try"]
        assert len(attempts) >= 40
        assert (await brokerless.cluster.done(waiting))["result"] == site.planted, "a result is not altered"
        for job in (thief, waiting):
            await until(lambda job=job: "***\n" in brokerless.cluster.logs(job))
            assert site.planted not in brokerless.cluster.logs(job)
        python = brokerless.cluster.submit("def main(): return 1", "bash", "python3")
        error = (await brokerless.cluster.done(python))["result"]["error"]
        assert (error["name"], "allows no language 'python3'" in error["message"]) == ("NotAllowed", True)
        linked = brokerless.cluster.submit(site.code(LINKS), "bash")
        record = await brokerless.cluster.done(linked)
        assert agent.process.is_running()
        assert site.device.kid in agent.log.read_text(), "it is the agent's own"
        for secret in (site.planted, site.token.removeprefix("jwt_agent_"), site.key, site.device.raw.hex()):
            assert [name for name, content in told.items() if secret.encode() in content] == []
            assert secret not in agent.log.read_text()
        assert [name for name, content in told.items() if site.device.raw in content] == []
        assert site.spool.joinpath("identity").read_text().strip() not in str(record["result"])
    finally:
        agent.close()
