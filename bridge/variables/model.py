"""What a variable is to those who set and read it."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from bridge.errors import BadRequest
from bridge.jobs.model import Page

PATH_MAX_CHARS = 255


class NewVariable(Struct):
    path: str
    value: str
    is_secret: bool = False
    description: str = ""
    offline: bool = False  # ours: a job that names it takes it along to its site


class VariableChange(Struct):
    """What is absent stays as it is."""

    path: str | None = None
    value: str | None = None
    is_secret: bool | None = None
    description: str | None = None
    offline: bool | None = None


class VariableRow(Struct, kw_only=True):
    workspace_id: str
    path: str
    value: str | None  # null: a secret that was not asked for
    is_secret: bool
    description: str
    offline: bool = False
    account: int | None = None
    is_oauth: bool = False
    is_expired: bool = False
    is_linked: bool = False
    extra_perms: dict[str, Any] = {}


class ReadOptions(Struct):
    decrypt_secret: bool = True


class PathFilter(Struct):
    path_start: str = ""
    page: Page = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 100


def checked_path(text: str) -> str:
    """Raises `BadRequest`."""
    if len(text) > PATH_MAX_CHARS or not all(text.split("/")) or not text.isprintable():
        raise BadRequest(
            f"path must be words with / between them and at most {PATH_MAX_CHARS} characters, "
            f"for example f/shop/till, not {text[:60]!r}"
        )
    return text
