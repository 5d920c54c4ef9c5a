"""What a resource and a resource type are to those who set and read them."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from bridge.jobs.model import Page


class NewResource(Struct):
    path: str
    resource_type: str
    value: Any = None
    description: str = ""
    offline: bool | None = None  # ours: a job that names it takes it along to its site


class NewResourceAsSent(NewResource):
    """As `NewResource`, with the value unread: its text is kept as it came."""

    value: Raw = Raw(b"null")


class ResourceChange(Struct):
    """What is absent stays as it is; a `value` of null is a value."""

    path: str | None = None
    value: Any = None
    resource_type: str | None = None
    description: str | None = None
    offline: bool | None = None


class ResourceChangeAsSent(ResourceChange):
    value: Raw | UnsetType = UNSET


class NewValue(Struct):
    value: Any = None


class NewValueAsSent(NewValue):
    value: Raw = Raw(b"null")


class ResourceRow(Struct, kw_only=True):
    workspace_id: str
    path: str
    value: Any = None
    resource_type: str
    description: str
    created_by: str
    edited_at: str | None
    offline: bool = False
    is_oauth: bool = False
    is_expired: bool = False
    is_linked: bool = False
    extra_perms: dict[str, Any] = {}


class CreateOptions(Struct):
    update_if_exists: bool = False


class ResourceFilter(Struct):
    path_start: str = ""
    resource_type: str | None = None
    resource_type_exclude: str | None = None
    page: Page = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 100


class NewResourceType(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=50)]
    schema: Any = None
    description: str = ""


class NewResourceTypeAsSent(NewResourceType):
    schema: Raw = Raw(b"null")


class ResourceTypeChange(Struct):
    schema: Any = None
    description: str | None = None


class ResourceTypeChangeAsSent(ResourceTypeChange):
    schema: Raw | UnsetType = UNSET


class ResourceTypeRow(Struct, kw_only=True):
    workspace_id: str
    name: str
    schema: Any
    description: str
    created_by: str
    edited_at: str | None
    format_extension: str | None = None
