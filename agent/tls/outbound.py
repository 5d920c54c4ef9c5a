"""How this process opens connections to others: whom it believes, what it shows of itself, by which proxy.

Every TLS connection of agent and bridge gets its context here, and there is no way to one that checks less.
"""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

PLAIN: Final = frozenset({"http", "amqp"})
CHECKS_IN_URL: Final = ("no_verify_ssl", "cafile", "capath", "cadata", "certfile", "keyfile")


class BadTls(OSError):
    """A file or an address of these settings cannot be used. The text names the setting and the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    ca_file: Path | None = None  # instead of the system's store
    cert_file: Path | None = None  # shown to a server that wants a client certificate
    key_file: Path | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)  # as `getproxies_environment` gives them

    def context(self) -> ssl.SSLContext:
        """Checks chain, dates and name. Made anew for each link, so that a renewed file needs no restart.

        Raises `BadTls`.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise BadTls(
                f"CA_FILE {self.ca_file} cannot be used ({_short(error)}); it must hold the CA's certificate "
                "as PEM (-----BEGIN CERTIFICATE-----)"
            ) from error
        if self.cert_file is not None and self.key_file is not None:
            load_pair(context, ("CLIENT_CERT_FILE", self.cert_file), ("CLIENT_KEY_FILE", self.key_file))
        return context

    def proxy_for(self, host: str) -> str | None:
        """The proxy by which a TLS connection to `host` goes, as HTTPS_PROXY, ALL_PROXY and NO_PROXY say."""
        if not self.proxies or proxy_bypass(host, dict(self.proxies)):
            return None
        return self.proxies.get("https") or self.proxies.get("all")

    def bundle(self) -> bytes | None:
        """PEM for the programs of jobs: the system's store and `ca_file`. None: the system's alone serves."""
        if self.ca_file is None:
            return None
        system = ssl.get_default_verify_paths().cafile
        known = b"" if system is None else Path(system).read_bytes().rstrip() + b"\n"
        return known + self.ca_file.read_bytes()


SYSTEM: Final = Outbound()  # the system's store, no client certificate, no proxy


def read(env: Mapping[str, str]) -> Outbound:
    """Raises `BadTls` for what can be seen to be wrong now."""
    ca, cert, key = (_path(env, name) for name in ("CA_FILE", "CLIENT_CERT_FILE", "CLIENT_KEY_FILE"))
    if (cert is None) != (key is None):
        missing = "CLIENT_CERT_FILE" if cert is None else "CLIENT_KEY_FILE"
        raise BadTls(f"{missing} is missing; a client certificate and its key go together")
    outbound = Outbound(ca_file=ca, cert_file=cert, key_file=key, proxies=_proxies())
    if ca is not None or cert is not None:
        outbound.context()
    return outbound


def load_pair(context: ssl.SSLContext, cert: tuple[str, Path], key: tuple[str, Path]) -> None:
    """Both as (setting, file). Raises `BadTls`."""

    def no_passphrase() -> NoReturn:  # OpenSSL would ask the terminal, and a service would wait for ever
        raise BadTls(f"{key[0]} {key[1]} has a passphrase; give a key without one, readable by us alone")

    try:
        context.load_cert_chain(cert[1], key[1], password=no_passphrase)
    except BadTls:
        raise
    except (OSError, ValueError) as error:
        raise BadTls(
            f"{cert[0]} {cert[1]} and {key[0]} {key[1]} cannot be used ({_short(error)}); they must be PEM, "
            "readable, and belong together"
        ) from error


def require_no_checks_in(url: str, setting: str) -> None:
    """Raises `BadTls` for an address that brings its own TLS options: the client would obey them."""
    query = urlsplit(url).query
    named = [one for one in CHECKS_IN_URL if f"{one}=" in query]
    if named:
        raise BadTls(
            f"{setting} must not carry {named[0]}; certificates are always checked, "
            "against CA_FILE or the system's store"
        )


def is_in_clear(url: str) -> bool:
    """Whether what travels to this address can be read on the way: no TLS, and not to this machine."""
    parts = urlsplit(url)
    if parts.scheme not in PLAIN or parts.hostname == "localhost":
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def _proxies() -> Mapping[str, str]:
    """Of this process's environment, where the HTTP client looks too and would die of a wrong one."""
    proxies = getproxies_environment()
    for scheme in ("http", "https", "all"):
        address = proxies.get(scheme, "")
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if address and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise BadTls(
                f"{scheme.upper()}_PROXY must be an HTTP proxy such as http://proxy.example.com:3128; "
                "take it away for this program, or name one"
            )
    return proxies


def _path(env: Mapping[str, str], name: str) -> Path | None:
    text = env.get(name, "").strip()
    return Path(text) if text else None


def _short(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM in it").replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
