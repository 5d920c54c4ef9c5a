"""A private RabbitMQ node: own name, ports, cookie, data, epmd; no rights needed."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bridge.broker.setup import PLUGINS, rabbitmq_conf
from dev_tools.brokers.bridges import Bridges, serve_vhost
from dev_tools.brokers.broker import Broker, BrokerError
from dev_tools.brokers.leftovers import new_folder, note_process
from dev_tools.brokers.readiness import wait_until_ready
from dev_tools.brokers.tls import tls_settings
from dev_tools.certificates import ThrowAwayCA
from dev_tools.ports import free_ports
from dev_tools.processes import Running

# Debian's /usr/sbin/rabbitmq-server changes to the user rabbitmq and so cannot serve a folder of ours.
DEBIAN_SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER: Final = "orvanta"
START_S: Final = 90.0
STOP_S: Final = 30.0
CTL_S: Final = 60.0
LOG_TAIL: Final = 2_000  # characters shown when it does not start

CONFIG: Final = """\
listeners.tcp.local = 127.0.0.1:{amqp}
listeners.ssl.local = 127.0.0.1:{amqps}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
default_user_tags.impersonator = true
disk_free_limit.absolute = 50MB
{tls}log.console = true
log.file = false
"""


def installed_server() -> Path | None:
    if DEBIAN_SERVER.exists():
        return DEBIAN_SERVER
    found = shutil.which("rabbitmq-server")
    return Path(found) if found else None


class PrivateNode(Broker):
    kind = "node"

    def __init__(self, server: Path) -> None:
        """Lays out its folder; `start` starts it."""
        amqp, amqps, management, self._distribution, self._epmd_port = free_ports(5)
        password = secrets.token_hex(16)
        self.url = f"amqp://{USER}:{password}@127.0.0.1:{amqp}/"
        self.management_url = f"http://{USER}:{password}@127.0.0.1:{management}"
        self.tls_url = f"amqps://{USER}:{password}@127.0.0.1:{amqps}/"
        self._management_url: Final = self.management_url
        self._server: Final = server
        self._folder: Final = new_folder()
        self._bridges: Final = Bridges()
        serve_vhost("/", self._bridges, self.management_url)
        self._node: Running | None = None
        self._epmd: Running | None = None
        (self._folder / "home").mkdir()
        self.ca = ThrowAwayCA(self._folder / "tls")
        tls = tls_settings(self.ca.file, self.ca.issue("broker"))
        (self._folder / "rabbitmq.conf").write_text(
            CONFIG.format(
                amqp=amqp, amqps=amqps, tls=tls, management=management, user=USER, password=password
            )
            + rabbitmq_conf(f"http://127.0.0.1:{self._bridges.port}")
        )
        (self._folder / "plugins").write_text(f"[{','.join(PLUGINS)}].\n")

    def start(self) -> None:
        if self._node and self._node.is_running():
            return
        if self._epmd is None:
            self._epmd = self._run([_epmd(), "-port", str(self._epmd_port), "-address", "127.0.0.1"])
        self._node = self._run([self._server])
        self.pid = self._node.pid
        try:
            wait_until_ready(self.url, self._management_url, START_S, self._node.is_running)
        except BrokerError as error:
            raise BrokerError(f"{error}; its log ends:\n{self._node.text()[-LOG_TAIL:]}") from None

    def stop(self) -> None:
        if self._node:
            self._node.stop(STOP_S)

    def kill(self) -> None:
        if self._node:
            self._node.kill()

    @property
    def bridges(self) -> Bridges:
        return self._bridges

    def close(self) -> None:
        self.kill()  # nobody reads its data again
        if self._epmd:
            self._epmd.kill()
        self._bridges.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ctl(self, *arguments: str) -> str:
        tool = self._server.with_name("rabbitmqctl")
        ended = subprocess.run(
            [tool, "--quiet", *arguments], env=self._env(), capture_output=True, text=True, timeout=CTL_S,
            check=False,
        )  # fmt: skip
        if ended.returncode:
            raise BrokerError(
                f"rabbitmqctl {arguments[0]} failed: {(ended.stdout + ended.stderr)[-LOG_TAIL:]}"
            )
        return ended.stdout

    def _run(self, command: list[str | Path]) -> Running:
        process = Running(command, env=self._env(), log=self._folder / "log", cwd=self._folder)
        note_process(self._folder, process.pid)
        return process

    def _env(self) -> dict[str, str]:
        """All that the server reads. The machine's own settings in /etc/rabbitmq stay out of it."""
        folder = self._folder
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(folder / "home"),  # the Erlang cookie is made there
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"orvanta-{folder.name}@localhost",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONFIG_FILES": str(folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "none.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # With input allowed the script becomes the Erlang machine instead of waiting for it, so that the
            # pid we know is the one to kill; -noinput takes the input away again.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
        }


def _epmd() -> str:
    """Erlang's port mapper. Run by us, in the foreground, it ends with us instead of staying for ever."""
    found = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)
    if found is None:
        raise BrokerError("rabbitmq-server is here but Erlang's epmd is not; install the package erlang-base")
    return found
