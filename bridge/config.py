"""The bridge's settings: read once from the environment, handed down in parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from agent.credentials import BadCredential, text_of
from agent.logs import Secret, hide
from agent.systemd import Systemd, told_by
from agent.tls import outbound
from agent.tls.outbound import BadTls, Outbound, require_no_checks_in
from agent.wire.tokens import said_by
from bridge.dependencies.tools import environment_of
from bridge.devices.service import FIRST_USE, Rules
from bridge.errors import ConfigError
from bridge.jobs.tag_rules import TagRules
from bridge.relay.policy import LOST_AFTER_S, SHORTEST_S, Policies, by_pattern
from bridge.store.on_server import POOL_MIN, OnServer
from bridge.web import tls
from bridge.web.tls import Pair
from bridge.worker.settings import WorkerSettings

MIB: Final = 1024 * 1024
TOKEN_CHARS_MIN: Final = 16
SECRETS: Final = (
    "AGENT_TOKEN",
    "AMQP_PASSWORD",
    "AMQP_URL",
    "METRICS_TOKEN",
    "PUBLIC_AMQP_URL",
)  # each also from a file: AMQP_URL_FILE


class LoginKind(StrEnum):
    """How the broker knows what an agent may do."""

    BRIDGE = "bridge"  # it asks us
    STATIC = "static"  # an operator has told it


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    store: Path | OnServer
    amqp_url: Secret | None  # None: no broker, the agents' link is HTTP
    public_amqp_url: Secret | None
    management_url: Secret | None  # of RabbitMQ's management API; None: nobody's connections can be ended
    broker_auth: LoginKind
    host: str
    port: int
    base_url: str  # of the cluster, as sites and people reach it
    admin_password_file: Path | None
    ready_max: int
    admissions_per_s: int
    broker_nodes: int
    zombie_timeout_s: float
    policies: Policies
    tags: TagRules
    agent_tokens: tuple[Secret, ...]  # for `relay`: the bridge's own, at the upstream cluster
    upstream_url: str | None
    outbound: Outbound
    tls: Pair | None  # what the bridge serves HTTPS with; None: it serves HTTP
    devices: Rules
    worker: WorkerSettings | None  # the normal worker in this process; None: there is none
    registries: Mapping[str, str] = field(default_factory=dict, repr=False)  # as uv and npm are told
    metrics_token: Secret | None = None  # opens /metrics; None: only a superadmin does
    metrics_per_worker: bool = False
    bundles_bytes: int  # what may be kept of what jobs import, for agents; 0: they are sent none
    systemd: Systemd = field(default_factory=Systemd)  # who is told that we are ready, and that we live


def read(
    env: Mapping[str, str],
    *,
    relay_only: bool,
    devices: Rules = FIRST_USE,
    worker: WorkerSettings | None = None,
) -> Settings:
    """Raises `ConfigError`, which names the setting, what it needs and what it got."""
    env = {**env, **_secrets(env)}
    host, port = env.get("BRIDGE_HOST", "127.0.0.1"), _whole(env, "BRIDGE_PORT", 8000)
    amqp_url, public = _brokers(env, needed=relay_only)
    upstream = upstream_of(env) if relay_only else None
    tokens = _agent_tokens(env) if relay_only else ()
    password = env.get("ADMIN_PASSWORD_FILE")
    pair, towards = _tls(env)
    return Settings(
        store=store_of(env),
        amqp_url=amqp_url,
        public_amqp_url=public,
        management_url=_management(env),
        broker_auth=_broker_auth(env),
        host=host,
        port=port,
        base_url=env.get("BASE_URL") or upstream or f"{'http' if pair is None else 'https'}://{host}:{port}",
        admin_password_file=Path(password) if password else None,
        ready_max=_whole(env, "READY_MAX", 100),
        admissions_per_s=_whole(env, "ADMISSIONS_PER_S", 50),
        broker_nodes=_whole(env, "BROKER_NODES", 1),
        zombie_timeout_s=_whole(env, "ZOMBIE_JOB_TIMEOUT", 60),
        policies=_policies(env),
        tags=TagRules(_names(env, "CUSTOM_TAGS"), _names(env, "DEFAULT_TAGS_PER_WORKSPACE")),
        agent_tokens=tokens,
        upstream_url=upstream,
        outbound=towards,
        tls=pair,
        devices=devices,
        worker=worker,
        registries=environment_of(env),
        bundles_bytes=_bundles_mb(env) * MIB,
        metrics_token=_metrics_token(env),
        metrics_per_worker=_yes(env, "METRICS_PER_WORKER"),
        systemd=told_by(env),
    )


def _bundles_mb(env: Mapping[str, str]) -> int:
    return 0 if env.get("BUNDLES_MB", "").strip() == "0" else _whole(env, "BUNDLES_MB", 4096)


def _metrics_token(env: Mapping[str, str]) -> Secret | None:
    token = env.get("METRICS_TOKEN", "").strip()
    if not token:
        return None
    if len(token) < TOKEN_CHARS_MIN:
        raise ConfigError(
            f"METRICS_TOKEN must have at least {TOKEN_CHARS_MIN} characters; `openssl rand -hex 16` makes one"
        )
    hide(token)
    return Secret(token)


def _yes(env: Mapping[str, str], name: str) -> bool:
    raw = env.get(name, "").strip() or "0"
    if raw not in ("0", "1"):
        raise ConfigError(f"{name} must be 0 or 1, not {raw!r}")
    return raw == "1"


def upstream_of(env: Mapping[str, str]) -> str:
    """The cluster that a relay works for. Raises `ConfigError`."""
    raw = _url(env, "BASE_INTERNAL_URL", ("http", "https"), "https://orvanta.example.com")
    return raw.rstrip("/")


def outbound_of(env: Mapping[str, str]) -> Outbound:
    """Whom the bridge believes at the other end, and by what proxy it goes. Raises `ConfigError`."""
    try:
        return outbound.read(env)
    except BadTls as error:
        raise ConfigError(str(error)) from error


def store_of(env: Mapping[str, str]) -> Path | OnServer:
    """A file, or a database on a server."""
    if not env.get("DATABASE_URL"):
        return Path(env.get("BRIDGE_STORE", "bridge.db"))
    if env.get("BRIDGE_STORE"):
        raise ConfigError("BRIDGE_STORE and DATABASE_URL are both set; leave one of them out")
    from bridge.store.pg_address import name_of, with_password  # noqa: PLC0415 psycopg, for a server only

    url = env["DATABASE_URL"].strip()
    pool = _whole(env, "DATABASE_POOL", 20)
    if pool < POOL_MIN:
        raise ConfigError(f"DATABASE_POOL must be at least {POOL_MIN} connections, not {pool}")
    name = name_of(url)
    if env.get("DATABASE_PASSWORD_FILE"):
        url = with_password(url, _text_of(env, "DATABASE_PASSWORD_FILE"))
    return OnServer(
        url=Secret(url), pool=pool, key_path=Path(env.get("STORE_KEY_FILE", "bridge.key")), name=name
    )


def _text_of(env: Mapping[str, str], name: str) -> str:
    try:
        return Path(env[name]).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{name} {env[name]} cannot be read: {error}") from error


def _tls(env: Mapping[str, str]) -> tuple[Pair | None, Outbound]:
    try:
        for name in ("AMQP_URL", "PUBLIC_AMQP_URL"):
            require_no_checks_in(env.get(name, ""), name)
        return tls.read(env), outbound.read(env)
    except BadTls as error:
        raise ConfigError(str(error)) from error


def _secrets(env: Mapping[str, str]) -> dict[str, str]:
    """The settings that are secrets, wherever they are kept."""
    try:
        found = {name: text_of(env, name) for name in SECRETS}
    except BadCredential as error:
        raise ConfigError(str(error)) from error
    return {name: text for name, text in found.items() if text is not None}


def _agent_tokens(env: Mapping[str, str]) -> tuple[Secret, ...]:
    """One or more, no two with a tag in common: a job goes back the way it came, and its tag says which."""
    tokens = [token.strip('"') for token in _names(env, "AGENT_TOKEN")]
    if not tokens:
        raise ConfigError(
            "AGENT_TOKEN is missing; set it to an agent token (jwt_agent_…) of the upstream cluster"
        )
    owners: dict[str, int] = {}
    for number, token in enumerate(tokens, 1):
        for tag in _tags_of(token, f"AGENT_TOKEN: token {number} of {len(tokens)}"):
            if owners.setdefault(tag, number) != number:
                raise ConfigError(f"AGENT_TOKEN: tag {tag} is in tokens {owners[tag]} and {number}; "
                                  "mint them so that each tag is in one of them only")  # fmt: skip
    return tuple(map(Secret, tokens))


def _tags_of(token: str, which: str) -> list[str]:
    """Whether it holds only the cluster can say; this says what it can never take."""
    try:
        claims = said_by(token)
        tags, exp, _ = list(claims["tags"]), claims["exp"], claims["worker_group"]
    except (ValueError, KeyError, IndexError, TypeError):
        raise ConfigError(f"{which} is not an agent token (jwt_agent_…) of the upstream cluster") from None
    if not all(isinstance(tag, str) for tag in tags):
        raise ConfigError(f"{which} has tags that are no texts; copy it whole, or mint a new one")
    if not tags:
        raise ConfigError(f"{which} has no tags; mint one for the tags whose jobs are to be relayed")
    if exp is None:
        raise ConfigError(f"{which} has no exp, and no cluster takes it; mint one with an exp")
    return tags


def _brokers(env: Mapping[str, str], *, needed: bool) -> tuple[Secret | None, Secret | None]:
    """Where the bridge finds RabbitMQ, and where agents do."""
    if not needed and not env.get("AMQP_URL"):
        if env.get("PUBLIC_AMQP_URL"):
            raise ConfigError("PUBLIC_AMQP_URL is set and AMQP_URL is missing; set both or none")
        return None, None
    own = _with_password(env, _url(env, "AMQP_URL", ("amqp", "amqps"), "amqp://user:password@host:5672/"))
    public = _url(env, "PUBLIC_AMQP_URL", ("amqp", "amqps"), "") if env.get("PUBLIC_AMQP_URL") else own
    for url in (own, public):
        hide(unquote(urlsplit(url).password or ""))
    return Secret(own), Secret(public)


def _management(env: Mapping[str, str]) -> Secret | None:
    if not env.get("MANAGEMENT_URL"):
        return None
    return Secret(_with_password(env, _url(env, "MANAGEMENT_URL", ("http", "https"), "").rstrip("/")))


def _with_password(env: Mapping[str, str], url: str) -> str:
    """With `AMQP_PASSWORD`, where the address names a user and no password of its own."""
    password, parts = env.get("AMQP_PASSWORD"), urlsplit(url)
    if not password or parts.username is None or parts.password is not None:
        return url
    user, _, where = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{where}").geturl()


def _broker_auth(env: Mapping[str, str]) -> LoginKind:
    raw = env.get("BROKER_AUTH", LoginKind.BRIDGE)
    if raw not in list(LoginKind):
        raise ConfigError(f"BROKER_AUTH must be one of {', '.join(LoginKind)}, not {raw!r}")
    return LoginKind(raw)


def vhost_of(amqp_url: Secret) -> str:
    return unquote(urlsplit(amqp_url.reveal()).path[1:]) or "/"


def _names(env: Mapping[str, str], name: str) -> list[str]:
    """A list with commas between its items."""
    return [one.strip() for one in env.get(name, "").split(",") if one.strip()]


def _policies(env: Mapping[str, str]) -> Policies:
    lost_after_s = _whole(env, "LOST_AFTER_S", LOST_AFTER_S)
    if lost_after_s < SHORTEST_S:
        raise ConfigError(f"LOST_AFTER_S must be at least {SHORTEST_S} seconds, not {lost_after_s}")
    text = env.get("TAG_POLICIES", "{}")
    try:
        return Policies(lost_after_s, by_pattern(text))
    except ValueError as error:
        raise ConfigError(
            'TAG_POLICIES must be JSON such as {"pos-*": {"delivery": "at_most_once", "lost_after_s": 3600, '
            f'"replace": "never"}}}}: {error}'
        ) from error


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    raw = env.get(name, str(default))
    if not raw.isdecimal() or int(raw) < 1:
        raise ConfigError(f"{name} must be a whole number above 0, not {raw!r}")
    return int(raw)


def _url(env: Mapping[str, str], name: str, schemes: tuple[str, ...], example: str) -> str:
    raw = env.get(name, "").strip()
    if not raw:
        raise ConfigError(f"{name} is missing; set it to an address such as {example}")
    parts = urlsplit(raw.replace("{host}", "host"))
    if parts.scheme not in schemes or not parts.hostname:
        raise ConfigError(
            f"{name} must begin with {' or '.join(f'{one}://' for one in schemes)} and name a host"
        )
    return raw
