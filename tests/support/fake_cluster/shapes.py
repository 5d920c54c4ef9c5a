"""What a body must look like (agent-api.md 2.1, 2.3, 3.4): every key, its type, and no other key."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

Check = Callable[[object], bool]

KINDS: Final = frozenset({
    "script", "preview", "dependencies", "flowdependencies", "appdependencies", "flow", "flowpreview",
    "script_hub", "identity", "deploymentcallback", "singlestepflow", "flowscript", "flownode",
    "appscript", "aiagent", "noop", "unassigned_script", "unassigned_flow", "unassigned_singlestepflow",
})  # fmt: skip
LANGUAGES: Final = frozenset({
    "python3", "deno", "go", "bash", "powershell", "postgresql", "mysql", "bigquery", "snowflake",
    "mssql", "oracledb", "graphql", "nativets", "bun", "bunnative", "php", "rust", "ansible", "csharp",
    "nu", "java", "ruby", "rlang", "duckdb", "dbt",
})  # fmt: skip
TRIGGERS: Final = frozenset({
    "webhook", "default_email", "email", "schedule", "http", "websocket", "postgres", "kafka", "nats",
    "mqtt", "amqp", "sqs", "gcp", "azure", "google", "github", "asset", "freshness", "app", "ui",
})  # fmt: skip
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HEX_HASH: Final = re.compile(r"[0-9a-f]{16}")
VERSION: Final = re.compile(r"v\d+\.\d+\.\d+")


class WrongShape(Exception):
    """A real server would refuse this body."""


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_bool(value: object) -> bool:
    return isinstance(value, bool)


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    return isinstance(value, float) or is_whole(value)


def is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(is_text, value))


def is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def is_anything(value: object) -> bool:
    return True


def like(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def fits(shape: Mapping[str, Check], value: object, name: str) -> None:
    """Raises `WrongShape`, which names what is wrong."""
    if not isinstance(value, dict):
        raise WrongShape(f"{name} must be an object, not {value!r:.60}")
    if value.keys() != shape.keys():
        raise WrongShape(f"{name}: keys missing or unknown: {sorted(value.keys() ^ shape.keys())}")
    for key, check in shape.items():
        if not check(value[key]):
            raise WrongShape(f"{name}.{key} cannot be {value[key]!r:.60}")


PING: Final[Mapping[str, Check]] = {
    "ping_type": one_of("Initial", "MainLoop", "Job", "InitScript"),
    "worker_instance": maybe(is_text),
    "ip": maybe(is_text),
    "version": maybe(like(VERSION)),
    "tags": maybe(is_texts),
    "dw": maybe(is_text),
    "dws": maybe(is_texts),
    **dict.fromkeys(("vcpus", "memory", "memory_usage", "wm_memory_usage", "jobs_executed"), maybe(is_whole)),
    **dict.fromkeys(
        ("occupancy_rate", "occupancy_rate_15s", "occupancy_rate_5m", "occupancy_rate_30m"), maybe(is_number)
    ),
    "last_job_executed": maybe(like(UUID)),
    "last_job_workspace_id": maybe(is_text),
    "job_isolation": maybe(one_of("none", "unshare", "nsjail")),
    "native_mode": maybe(is_bool),
}
NEEDED_AT_FIRST: Final = ("worker_instance", "ip", "version")  # of an Initial ping, else 500

JOB_PING: Final[Mapping[str, Check]] = {"mem_peak": maybe(is_whole), "current_mem": maybe(is_whole)}

COMPLETED_JOB: Final[Mapping[str, Check]] = {
    "id": like(UUID),
    "workspace_id": is_text,
    "runnable_id": maybe(like(HEX_HASH)),
    "scheduled_for": is_time,
    "parent_job": maybe(like(UUID)),
    "flow_innermost_root_job": maybe(like(UUID)),
    "runnable_path": maybe(is_text),
    "kind": one_of(*KINDS),
    "started_at": maybe(is_time),
    "permissioned_as": is_text,
    "created_by": is_text,
    "script_lang": maybe(one_of(*LANGUAGES)),
    "permissioned_as_email": is_text,
    "flow_step_id": maybe(is_text),
    "trigger_kind": maybe(one_of(*TRIGGERS)),
    "trigger": maybe(is_text),
    "priority": maybe(is_whole),
    "concurrent_limit": maybe(is_whole),
    "tag": is_text,
    "cache_ttl": maybe(is_whole),
    "cache_ignore_s3_path": maybe(is_bool),
    "runnable_settings_handle": maybe(is_whole),
}

COMPLETED: Final[Mapping[str, Check]] = {
    "job": lambda value: isinstance(value, dict),
    "preprocessed_args": maybe(lambda value: isinstance(value, dict)),
    "result": is_anything,
    "result_columns": maybe(is_texts),
    "mem_peak": is_whole,
    "success": is_bool,
    "cached_res_path": maybe(is_text),
    "token": is_text,
    "canceled_by": maybe(lambda value: isinstance(value, dict)),
    "duration": maybe(is_whole),
    "has_stream": maybe(is_bool),
    "from_cache": maybe(is_bool),
}
CANCELED_BY: Final[Mapping[str, Check]] = {"username": maybe(is_text), "reason": maybe(is_text)}
