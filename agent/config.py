"""The agent's settings: read once from the environment and the command line, handed down in parts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.credentials import BadCredential, file_of, text_of
from agent.credentials import read as read_secret
from agent.errors import ConfigError
from agent.executor.account import Account
from agent.executor.cgroup import why_unusable
from agent.executor.languages.repertoire import Repertoire, repertoire_of
from agent.logs import Secret, hide
from agent.policy import Policy, policy_of
from agent.scripts.script import Script, scripts_of
from agent.spool.budget import MIB, Bounds
from agent.spool.folder import FLOOR_BYTES
from agent.spool.sealing import KEY_BYTES, Seal
from agent.systemd import Systemd, told_by
from agent.tls import outbound
from agent.tls.outbound import BadTls, Outbound
from agent.wire.tokens import AGENT_PREFIX

PORT_MAX: Final = 65_535
BUNDLES_BYTES: Final = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    spool: Path
    token: Secret
    base_url: str  # no trailing slash
    slots: int
    ahead: int | None  # unstarted jobs to hold per tag; None = auto
    bash_path: str | None
    python_path: str | None
    repertoire: Repertoire  # the languages beside bash and python3
    bounds: Bounds  # of the spool
    outbound: Outbound
    seal: Seal  # of what the spool keeps
    account: Account | None  # whose the jobs' processes are; None: the agent's own
    policy: Policy  # what this site runs
    cgroup: (
        Path | None
    )  # below which each job gets a control group; None: where one is delegated to the agent
    warm: bool  # whether python3 jobs are forked from an interpreter that runs already
    scripts: tuple[Script, ...]  # of the site itself
    bundles_bytes: int  # what may be kept of what jobs import
    prefetch: bool  # fetch what the scripts of our tags import before a job needs it
    status_port: int | None  # where the agent shows its status on this machine; None: nowhere
    systemd: Systemd = field(default_factory=Systemd)  # who is told that we are ready, and that we live


def read(
    env: Mapping[str, str],
    spool: Path,
    slots: int | None,
    ahead: int | None,
    *,
    user: str | None = None,
    policy: Path | None = None,
    warm: bool = True,
    status_port: int | None = None,
    prefetch: bool = False,
) -> Settings:
    """Raises `ConfigError`, which names the setting, what it needs and what it got."""
    if env.get("MODE", "agent") != "agent":
        raise ConfigError(f"MODE must be agent here, not {env['MODE']!r}; set MODE=agent or leave it out.")
    return Settings(
        spool=spool,
        token=Secret(_token(env)),
        base_url=_url(env, "BASE_INTERNAL_URL"),
        slots=_positive("--slots", slots, 1),
        ahead=None if ahead is None else _positive("--ahead", ahead, 1),
        bash_path=env.get("BASH_PATH"),
        python_path=env.get("PYTHON_PATH"),
        repertoire=_repertoire(env),
        bounds=_bounds(env),
        outbound=_outbound(env),
        seal=seal(env, spool),
        account=None if user is None else account_of(user),
        policy=Policy() if policy is None else site_policy(policy),
        cgroup=_cgroup(env),
        warm=warm,
        scripts=_scripts(env),
        bundles_bytes=_megabytes(env, "BUNDLES_MB") or BUNDLES_BYTES,
        prefetch=prefetch,
        status_port=None if status_port is None else _port("--status-port", status_port),
        systemd=told_by(env),
    )


def _cgroup(env: Mapping[str, str]) -> Path | None:
    named = env.get("JOB_CGROUP", "").strip()
    if not named:
        return None
    if why := why_unusable(Path(named)):
        raise ConfigError(f"JOB_CGROUP: {named} cannot be used: {why}.")
    return Path(named)


def _scripts(env: Mapping[str, str]) -> tuple[Script, ...]:
    try:
        return scripts_of(env)
    except ValueError as error:
        raise ConfigError(f"{error}.") from error


def _outbound(env: Mapping[str, str]) -> Outbound:
    try:
        return outbound.read(env)
    except BadTls as error:
        raise ConfigError(str(error)) from error


def _repertoire(env: Mapping[str, str]) -> Repertoire:
    try:
        return repertoire_of(env)
    except ValueError as error:
        raise ConfigError(f"LANGUAGES_FILE: {error}.") from error


def account_of(name: str) -> Account:
    """Raises `ConfigError`."""
    if os.geteuid() != 0:
        raise ConfigError(
            f"--user {name} needs an agent that is root, because only root may start processes of another "
            "user; leave it out, or start the agent as root."
        )
    try:
        return Account.named(name)
    except ValueError as error:
        raise ConfigError(f"--user: {error}.") from error


def site_policy(path: Path) -> Policy:
    """Raises `ConfigError`."""
    try:
        return policy_of(path)
    except ValueError as error:
        raise ConfigError(f"--policy: {error}.") from error


def seal(env: Mapping[str, str], spool: Path) -> Seal:
    """By the key in `SPOOL_KEY_FILE` or systemd's credential `spool_key`; without either it seals nothing.

    Raises `ConfigError`.
    """
    path = file_of(env, "SPOOL_KEY")
    return Seal() if path is None else seal_by(path, spool, "SPOOL_KEY_FILE")


def seal_by(path: Path, spool: Path, setting: str) -> Seal:
    """By the key in this file, which `setting` names. Raises `ConfigError`."""
    if path.absolute().is_relative_to(spool.absolute()):
        raise ConfigError(
            f"{setting}: {path} lies in the spool itself, and whoever takes one takes both; "
            "keep it elsewhere."
        )
    try:
        content = read_secret(path, setting)
    except BadCredential as error:
        raise ConfigError(f"{error}.") from error
    key = _key(content)
    if key is None:
        raise ConfigError(
            f"{setting}: {path} must hold {KEY_BYTES} bytes, or {KEY_BYTES * 2} hexadecimal digits; "
            f"make one with `openssl rand -hex {KEY_BYTES}`."
        )
    return Seal(key)


def _key(content: bytes) -> bytes | None:
    if len(content) == KEY_BYTES:
        return content
    try:
        key = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None


def _bounds(env: Mapping[str, str]) -> Bounds:
    quota = _megabytes(env, "SPOOL_QUOTA_MB")
    floor = _megabytes(env, "SPOOL_FLOOR_MB")
    return Bounds(
        quota_bytes=quota,
        floor_bytes=FLOOR_BYTES if floor is None else floor,
        log_bytes=_megabytes(env, "SPOOL_LOG_MB"),
    )


def _megabytes(env: Mapping[str, str], name: str) -> int | None:
    raw = env.get(name, "").strip()
    if not raw:
        return None
    if not raw.isascii() or not raw.isdecimal() or int(raw) < 1:
        raise ConfigError(f"{name} must be a whole number of megabytes above 0, not {raw!r}")
    return int(raw) * MIB


def _token(env: Mapping[str, str]) -> str:
    try:
        token = (text_of(env, "AGENT_TOKEN") or "").strip('"')
    except BadCredential as error:
        raise ConfigError(f"{error}.") from error
    if not token:
        raise ConfigError(
            "AGENT_TOKEN is missing; set it, or AGENT_TOKEN_FILE, to the jwt_agent_… token that the cluster "
            "minted for this site."
        )
    if token.removeprefix(AGENT_PREFIX).count(".") != 2:  # noqa: PLR2004 a JWT has three parts
        raise ConfigError(
            "AGENT_TOKEN is not an agent token (jwt_agent_ and three parts with dots); copy it whole."
        )
    hide(token.removeprefix(AGENT_PREFIX))  # as it goes on the wire, whatever stands before it
    return token


def _url(env: Mapping[str, str], name: str) -> str:
    raw = env.get(name, "").strip().rstrip("/")
    if not raw:
        raise ConfigError(
            f"{name} is missing; set it to the address of the cluster, such as https://orvanta.example.com"
        )
    parts = urlsplit(raw)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{name} must be an http:// or https:// address, not {raw!r}")
    return raw


def _port(name: str, value: int) -> int:
    if not 0 < value <= PORT_MAX:
        raise ConfigError(f"{name} must be a port from 1 to {PORT_MAX}, not {value}")
    return value


def _positive(name: str, value: int | None, default: int) -> int:
    if value is None:
        return default
    if value < 1:
        raise ConfigError(f"{name} must be a whole number above 0, not {value}")
    return value
