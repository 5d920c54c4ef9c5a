"""What a schedule is to those who set and read it, with the original's names."""

from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct

from bridge.errors import BadRequest
from bridge.jobs.model import NO_ARGS, Page
from bridge.jobs.retries import Retry, checked

UPCOMING: Final = 5
UNSERVED: Final = ("on_failure", "on_recovery", "on_success", "dynamic_skip")


class ScheduleTiming(Struct):
    schedule: Annotated[str, Meta(max_length=500)]
    timezone: str
    cron_version: str | None = None


class ScheduleChange(ScheduleTiming, kw_only=True):
    """All of it is replaced; what is absent is as its default. The last four are refused, not ignored."""

    args: Any = None
    summary: str | None = None
    description: str | None = None
    tag: str | None = None
    retry: Retry | None = None
    no_flow_overlap: bool | None = None
    paused_until: datetime | None = None
    is_flow: bool | None = None
    on_failure: Any = None
    on_recovery: Any = None
    on_success: Any = None
    dynamic_skip: Any = None


class ScheduleChangeAsSent(ScheduleChange, kw_only=True):
    """As `ScheduleChange`, with the arguments unread: their text is kept as it came."""

    args: Raw = NO_ARGS


class NewSchedule(ScheduleChange, kw_only=True):
    path: str
    script_path: Annotated[str, Meta(min_length=1)]
    enabled: bool | None = None


class NewScheduleAsSent(NewSchedule, kw_only=True):
    args: Raw = NO_ARGS


class Enabled(Struct):
    enabled: bool


class ScheduleFilter(Struct):
    path: str | None = None  # the script's
    path_start: str = ""
    is_flow: bool | None = None
    page: Page = 1
    per_page: Annotated[int, Meta(ge=1, le=100)] = 30


class ScheduleRow(Struct, kw_only=True):
    workspace_id: str
    path: str
    edited_by: str
    edited_at: str | None
    schedule: str
    timezone: str
    enabled: bool
    script_path: str
    is_flow: bool = False
    args: Any
    extra_perms: dict[str, bool] = {}
    email: str
    permissioned_as: str
    error: str | None
    on_failure: None = None
    on_failure_times: None = None
    on_failure_exact: None = None
    on_failure_extra_args: None = None
    on_recovery: None = None
    on_recovery_times: None = None
    on_recovery_extra_args: None = None
    on_success: None = None
    on_success_extra_args: None = None
    ws_error_handler_muted: bool = False
    retry: Any
    summary: str | None
    description: str | None
    no_flow_overlap: bool
    tag: str | None
    paused_until: str | None
    cron_version: str = "v2"
    dynamic_skip: None = None


def require_served(asked: ScheduleChange) -> Retry | None:
    """The retry policy, if any. Raises `BadRequest` for what would be another schedule than was asked."""
    for name in UNSERVED:
        if getattr(asked, name):
            raise BadRequest(f"{name} is not served; leave it out")
    require_v2(asked)
    if asked.paused_until is not None and asked.paused_until.tzinfo is None:
        raise BadRequest("paused_until needs a time zone, for example 2030-01-01T00:00:00Z")
    policy = checked(asked.retry)
    if policy is not None and asked.is_flow:
        raise BadRequest("a flow is not retried as a whole; give its steps a retry")
    return policy


def require_v2(asked: ScheduleTiming) -> None:
    """Raises `BadRequest`: in v1 Sunday is 1, and a schedule must not run on another day than was meant."""
    if asked.cron_version not in (None, "", "v2"):
        raise BadRequest("cron_version must be v2, where Sunday is 0 or 7")
