"""AMQPS on a real RabbitMQ: who is believed, by which way, and what is said when it does not come about."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import pytest

from agent.broker_session import open_session
from agent.errors import LinkDown
from agent.link.amqp import link_down
from agent.tls.outbound import SYSTEM, Outbound
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.certificates import ThrowAwayCA
from dev_tools.demo.link import SiteLink
from dev_tools.ports import free_ports
from tests.support.tunnel import tunnels

pytestmark = pytest.mark.on_each_release

# A second TLS listener of the node that runs already, which lets in nobody without a certificate.
STRICT = """
{{ok, Options}} = application:get_env(rabbit, ssl_options),
Strict = lists:keystore(fail_if_no_peer_cert, 1, Options, {{fail_if_no_peer_cert, true}}),
rabbit_networking:start_ssl_listener({{"127.0.0.1", {port}, ipv4}}, Strict, 1).
"""


@pytest.fixture(scope="module")
def secured(broker: Broker) -> Broker:
    if broker.ca is None or broker.tls_url is None:
        pytest.skip("the RabbitMQ of AMQP_URL has no certificate that we know")
    return broker


@pytest.fixture
def url(secured: Broker) -> Iterator[str]:
    """A virtual host of its own, over TLS; the address has a port that is not the usual one."""
    with fresh_vhost(secured) as plain:
        yield urlsplit(secured.tls_url or "")._replace(path=urlsplit(plain).path).geturl()


@pytest.fixture
def ours(secured: Broker) -> Outbound:
    assert secured.ca is not None
    return Outbound(ca_file=secured.ca.file)


def moved(url: str, *, host: str = "127.0.0.1", port: int | None = None, scheme: str = "amqps") -> str:
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(scheme=scheme, netloc=f"{login}@{host}:{port or parts.port}").geturl()


async def speaks(url: str, outbound: Outbound) -> None:
    """A message goes there and is confirmed."""
    async with open_session(url, "test", 10, link_down, outbound) as session:
        queue = await (await session.channel()).declare_queue("there", auto_delete=True)
        await session.publish("", aio_pika.Message(b"hello"), queue.name)


async def told(url: str, outbound: Outbound) -> str:
    with pytest.raises(LinkDown) as down:
        await speaks(url, outbound)
    (line,) = str(down.value).splitlines()
    return line


def showing(outbound: Outbound, ca: ThrowAwayCA) -> Outbound:
    pair = ca.issue("site")
    return Outbound(ca_file=outbound.ca_file, cert_file=pair.cert, key_file=pair.key)


async def test_it_is_believed_by_its_ca_and_by_nothing_else(url: str, ours: Outbound, tmp_path: Path) -> None:
    await speaks(url, ours)
    for outbound in (SYSTEM, Outbound(ca_file=ThrowAwayCA(tmp_path).file)):
        line = await told(url, outbound)
        assert "a CA that is not trusted here (CN=throw-away CA); set CA_FILE" in line
    assert "not trusted here" in await told(f"{url}?no_verify_ssl=1", SYSTEM)


async def test_a_wrong_name_and_a_wrong_port_are_named(url: str, ours: Outbound, broker: Broker) -> None:
    port, plain = urlsplit(url).port or 0, urlsplit(broker.url).port or 0
    (there,) = free_ports(1)
    with closing(SiteLink("127.0.0.9", {there: port})):
        line = await told(moved(url, host="127.0.0.9", port=there), ours)
    assert "is not for 127.0.0.9 but for localhost, 127.0.0.1" in line
    assert "speaks no TLS; give the port where it does (amqps://)" in await told(moved(url, port=plain), ours)
    assert "must begin with amqps://, not amqp://" in await told(moved(url, scheme="amqp"), ours)


async def test_a_client_certificate_is_shown_checked_and_asked_for(
    url: str, ours: Outbound, secured: Broker, tmp_path: Path
) -> None:
    assert secured.ca is not None
    good, strange = showing(ours, secured.ca), showing(ours, ThrowAwayCA(tmp_path))
    await speaks(url, good)
    assert "refuses our client certificate (tlsv1 alert unknown ca)" in await told(url, strange)
    if secured.kind != "node":
        return  # its ports are given once and for all
    (port,) = free_ports(1)
    secured.ctl("eval", STRICT.format(port=port))
    strict = moved(url, port=port)
    await speaks(strict, good)
    assert "it wants a client certificate; set CLIENT_CERT_FILE" in await told(strict, ours)
    assert "refuses our client certificate" in await told(strict, strange)


async def test_a_proxy_gives_the_tunnel_or_says_no(url: str, ours: Outbound) -> None:
    async with tunnels() as proxy:
        at = f"http://user:secret@127.0.0.1:{proxy.port}"
        behind = Outbound(ca_file=ours.ca_file, proxies={"https": at})
        await speaks(url, behind)
        assert proxy.asked == [f"127.0.0.1:{urlsplit(url).port}"] * 2
        proxy.refuses = b"403 Forbidden"
        line = await told(url, behind)
        assert f"the proxy 127.0.0.1:{proxy.port} gives no tunnel" in line
        assert "403 Forbidden" in line
        assert "secret" not in line
        await speaks(url, Outbound(ca_file=ours.ca_file, proxies={"https": at, "no": "127.0.0.1"}))
