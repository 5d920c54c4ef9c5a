"""The cluster's side and a site up in containers, once for all the tests of this room."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import pytest_asyncio

from dev_tools.ports import free_ports
from tests.support.compose import Engine, Project, engine_here, project, secrets_in
from tests.support.first_store import PASSWORD
from tests.support.until import until
from tests.support.world import Cluster

VERSION = "test"
TAG = "in-containers"
FIRST_START_S = 60


@dataclass(frozen=True, slots=True)
class Sides:
    engine: Engine
    cluster_side: Project
    site: Project
    cluster: Cluster  # its public API

    @property
    def agent(self) -> str:
        return self.site.container("agent")

    @property
    def bridge(self) -> str:
        return self.cluster_side.container("bridge")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Engine:
    """Two images are built, in a minute or so: only when asked for."""
    if "containers" not in request.config.getoption("markexpr"):
        pytest.skip("builds images: ask for it with -m containers")
    found = engine_here()
    if found is None:
        pytest.skip("neither podman nor docker with its compose is here")
    for name in ("agent", "bridge"):
        found.build(name, VERSION)
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sides(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sides]:
    """The site reaches the cluster's side by the ports of this machine, as it would from elsewhere."""
    bridge, broker = map(str, free_ports(2))
    folder = secrets_in(
        tmp_path_factory.mktemp("containers") / "secrets",
        {"admin_password": PASSWORD, "broker_password": secrets.token_hex(24), "database_password": "a/b@c"},
    )
    shared = {"ORVANTA_VERSION": VERSION, "SECRETS": str(folder)}
    settings = shared | {
        "BRIDGE_PORT": bridge,
        "BROKER_PORT": broker,
        "BASE_URL": f"http://127.0.0.1:{bridge}",
    }
    with project(engine, f"orvanta-test-{bridge}", "cluster.yaml", settings) as cluster_side:
        await until(lambda: _answers(f"http://127.0.0.1:{bridge}"), within_s=FIRST_START_S)
        cluster = Cluster(f"http://127.0.0.1:{bridge}")
        cluster.login()
        secrets_in(folder, {"agent_token": cluster.token(TAG)})
        here = engine.gateway(f"{cluster_side.name}_default")
        told = shared | {"BASE_INTERNAL_URL": f"http://{here}:{bridge}", "SLOTS": "2"}
        with project(engine, f"orvanta-test-{bridge}-site", "site.yaml", told) as site:
            yield Sides(engine, cluster_side, site, cluster)
        cluster.close()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/api/version", timeout=2) as answer:  # noqa: S310 - ours, over http
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
