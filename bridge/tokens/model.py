"""Who may ask, and what a token carries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec import UNSET, Struct, UnsetType

JOB_PREFIX: Final = "jwt_"
OWN_JOB: Final = "own_job"  # scope of a job token that reaches no other job


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a bearer token of the people's API proved. Only `Tokens.identify` makes one."""

    email: str
    username: str
    superadmin: bool
    workspace: str | None = None  # a job token: this workspace only
    job_id: str | None = None  # a job token with the scope OWN_JOB: this job only


class AgentClaims(Struct, frozen=True, kw_only=True):
    """The payload of an agent token (agent-api.md 1.2). With a `suffix` it serves that worker only.

    Ours: `jti` makes each minted token another one, `shared` lets any number of machines use it.
    """

    worker_group: str
    suffix: str | None = None
    tags: list[str]
    exp: int
    jti: str | UnsetType = UNSET
    shared: bool | UnsetType = UNSET


class JobClaims(Struct, frozen=True, kw_only=True):
    """The payload of a job token (agent-api.md 1.6)."""

    email: str
    username: str
    workspace_id: str
    workspace_ids: list[str]
    job_id: str
    label: str
    exp: int
    is_admin: bool = False
    is_operator: bool = False
    groups: list[str] = []
    folders: list[tuple[str, bool, bool]] = []
    scopes: list[str] | None = None
    audit_span: str | None = None


class Login(Struct):
    email: str
    password: str


class NewPersonToken(Struct):
    label: str | None = None
    expiration: datetime | None = None


class NewAgentToken(Struct):
    worker_group: str
    tags: list[str]
    exp: int | None = None
    suffix: str | None = None
    shared: bool = False


class NextAgentToken(Struct):
    """Body of rotate_token, ours: the token that another one takes the place of; what is left out stays."""

    token: str
    exp: int
    tags: list[str] | None = None


class NewWorkspace(Struct):
    id: str
    name: str


class Workspace(Struct):
    id: str
    name: str
    owner: str


class Whoami(Struct):
    email: str
    username: str
    super_admin: bool
    login_type: str = "password"
    verified: bool = True
    name: str | None = None
    company: str | None = None


class Member(Struct, kw_only=True):
    """GET /api/w/<workspace>/users/whoami."""

    workspace_id: str
    email: str
    username: str
    is_admin: bool
    is_super_admin: bool
    operator: bool = False
    disabled: bool = False
    groups: list[str] = []
    folders: list[str] = []
    folders_read: list[str] = []
    folders_owners: list[str] = []
