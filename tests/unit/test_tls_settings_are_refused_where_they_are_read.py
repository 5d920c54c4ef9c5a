"""A file, pair, address or proxy that cannot be used ends the start in one line that names the setting."""

import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from agent import config as agent_config
from agent.errors import ConfigError as AgentConfigError
from agent.tls.outbound import SYSTEM, Outbound, is_in_clear
from bridge import config as bridge_config
from bridge.errors import ConfigError as BridgeConfigError
from dev_tools.certificates import Pair, ThrowAwayCA

AGENT = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "https://bridge.example.com"}
BROKER = "amqps://user:password@broker.example.com:443/"


@pytest.fixture
def ca(tmp_path: Path) -> ThrowAwayCA:
    return ThrowAwayCA(tmp_path)


@pytest.fixture
def pair(ca: ThrowAwayCA) -> Pair:
    return ca.issue("site")


def of_agent(env: Mapping[str, str]) -> agent_config.Settings:
    return agent_config.read(AGENT | env, Path("spool"), None, None)


def refused(env: Mapping[str, str], *words: str) -> None:
    """By the agent and by the bridge, in the same words."""
    with pytest.raises(AgentConfigError) as by_agent:
        of_agent(env)
    with pytest.raises(BridgeConfigError) as by_bridge:
        bridge_config.read(env, relay_only=False)
    assert str(by_agent.value) == str(by_bridge.value)
    (line,) = str(by_agent.value).splitlines()
    for word in words:
        assert word in line


def test_a_file_that_is_not_there_or_holds_no_certificate(pair: Pair) -> None:
    refused({"CA_FILE": "/nowhere/ca.pem"}, "CA_FILE /nowhere/ca.pem", "No such file", "PEM")
    refused({"CA_FILE": str(pair.key)}, "CA_FILE", str(pair.key), "BEGIN CERTIFICATE")


def test_half_a_pair_or_two_halves(ca: ThrowAwayCA, pair: Pair) -> None:
    other = ca.issue("other")
    refused({"CLIENT_CERT_FILE": str(pair.cert)}, "CLIENT_KEY_FILE is missing")
    refused({"CLIENT_KEY_FILE": str(pair.key)}, "CLIENT_CERT_FILE is missing")
    refused({"CLIENT_CERT_FILE": str(pair.cert), "CLIENT_KEY_FILE": str(other.key)}, "key values mismatch")


def test_a_key_with_a_passphrase_asks_nobody(pair: Pair) -> None:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"a passphrase")
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pair.key.write_bytes(key.private_bytes(*formats, locked))
    refused({"CLIENT_CERT_FILE": str(pair.cert), "CLIENT_KEY_FILE": str(pair.key)}, "has a passphrase")


def test_a_proxy_that_nobody_here_speaks_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example.com:1080")
    refused({}, "HTTPS_PROXY must be an HTTP proxy")


@pytest.mark.parametrize("setting", ["AMQP_URL", "PUBLIC_AMQP_URL"])
def test_an_address_that_would_turn_the_checks_off(setting: str) -> None:
    env = {"AMQP_URL": BROKER, setting: f"{BROKER}?no_verify_ssl=1"}
    with pytest.raises(BridgeConfigError, match=f"{setting} must not carry no_verify_ssl"):
        bridge_config.read(env, relay_only=False)


def test_what_the_bridge_serves_with(pair: Pair) -> None:
    for name, missing in (("TLS_CERT_FILE", "TLS_KEY_FILE"), ("TLS_KEY_FILE", "TLS_CERT_FILE")):
        with pytest.raises(BridgeConfigError, match=f"{missing} is missing"):
            bridge_config.read({name: "file"}, relay_only=False)
    swapped = {"TLS_CERT_FILE": str(pair.key), "TLS_KEY_FILE": str(pair.cert)}
    with pytest.raises(BridgeConfigError, match="cannot be used"):
        bridge_config.read(swapped, relay_only=False)
    both = {"TLS_CERT_FILE": str(pair.cert), "TLS_KEY_FILE": str(pair.key)}
    assert bridge_config.read(both, relay_only=False).base_url.startswith("https://")
    assert bridge_config.read({}, relay_only=False).base_url.startswith("http://")


def test_what_is_good_is_taken_and_checks_all(ca: ThrowAwayCA, pair: Pair) -> None:
    env = {
        "CA_FILE": str(ca.file), "CLIENT_CERT_FILE": str(pair.cert), "CLIENT_KEY_FILE": str(pair.key),
    }  # fmt: skip
    read = of_agent(env).outbound
    assert read == bridge_config.read(env, relay_only=False).outbound
    for context in (read.context(), SYSTEM.context()):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
    assert [dict(one["subject"][0])["commonName"] for one in read.context().get_ca_certs()] == [
        "throw-away CA"
    ]


def test_jobs_believe_the_system_s_store_and_ours(
    ca: ThrowAwayCA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = ThrowAwayCA(tmp_path / "system", "the system's")
    monkeypatch.setenv("SSL_CERT_FILE", str(system.file))
    assert Outbound(ca_file=ca.file).bundle() == system.file.read_bytes() + ca.file.read_bytes()
    assert SYSTEM.bundle() is None


@pytest.mark.parametrize(
    ("url", "can_be_read"),
    [
        ("http://bridge.example.com", True),
        ("amqp://user:password@10.0.0.7:5672/", True),
        ("https://bridge.example.com", False),
        ("amqps://10.0.0.7/", False),
        ("http://127.0.7.1:8000", False),
        ("amqp://localhost", False),
        ("http://[::1]:8000", False),
    ],
)
def test_what_travels_in_clear_is_known(url: str, can_be_read: bool) -> None:  # noqa: FBT001 a verdict
    assert is_in_clear(url) is can_be_read
