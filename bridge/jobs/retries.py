"""A failed job is followed by a new one, for as long as the policy of its run says (openflow.md 2.1)."""

import math
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from bridge.errors import BadRequest
from bridge.jobs.ids import new_job_id
from bridge.store.statements import queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("retries.sql"))
LONGEST_S: Final = 6 * 3600.0

Whole = Annotated[int, Meta(ge=0, le=65535)]


class Constant(Struct):
    attempts: Whole = 0
    seconds: Whole = 0


class Exponential(Struct):
    attempts: Whole = 0
    multiplier: Whole = 1
    seconds: Whole = 0
    random_factor: Annotated[int, Meta(ge=0, le=100)] | None = None  # percent


class Retry(Struct, omit_defaults=True):
    """First the constant attempts, then the exponential ones; an attempt is one more job."""

    constant: Constant | None = None
    exponential: Exponential | None = None
    retry_if: Any = None


def checked(policy: Retry | None) -> Retry | None:
    """None when it asks for no attempt. Raises `BadRequest` for what is not served or cannot be meant."""
    if policy is None:
        return None
    if policy.retry_if is not None:
        raise BadRequest("retry_if is not served, because no expressions are evaluated here; leave it out")
    grows = policy.exponential
    if grows is not None and grows.attempts and not grows.seconds:
        raise BadRequest("retry.exponential needs seconds above 0; use retry.constant to retry at once")
    return policy if (policy.constant and policy.constant.attempts) or (grows and grows.attempts) else None


def parsed(text: str | None) -> Retry | None:
    """The run parameter. Raises `BadRequest`."""
    if not text:
        return None
    try:
        return checked(msgspec.json.decode(text, type=Retry))
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        example = '{"constant": {"attempts": 3, "seconds": 10}}'
        raise BadRequest(f"retry must be JSON such as {example}: {error}") from error


def delay_s(policy: Retry, retries: int, draw: float) -> float | None:
    """How long after failure number `retries` + 1 the next job is due; None: the attempts are used. Pure.

    `draw`: evenly from -1 to 1, for the jitter. The exponent counts the constant attempts too.
    """
    same, grows = policy.constant or Constant(), policy.exponential or Exponential()
    if retries < same.attempts:
        return min(float(same.seconds), LONGEST_S)
    if retries >= same.attempts + grows.attempts:
        return None
    try:
        gap_s = grows.multiplier * math.pow(grows.seconds, retries + 1)
    except OverflowError:
        return LONGEST_S
    return min(gap_s * (1 + draw * (grows.random_factor or 0) / 100), LONGEST_S)


def push_next(connection: Connection, job_id: str, now_s: float) -> bool:
    """In the transaction that ends the failed job, so that no death comes between. False: there is none."""
    row = connection.execute(SQL["policy"], {"id": job_id}).fetchone()
    if row is None:
        return False
    draw = Random(job_id).uniform(-1, 1)  # noqa: S311 jitter is no secret, and this way a test can foretell it
    gap_s = delay_s(msgspec.json.decode(row["retry"], type=Retry), row["retries"], draw)
    if gap_s is None:
        return False
    values = {"id": job_id, "new_id": new_job_id(now_s), "first": row["first"], "now": now_s}
    connection.execute(SQL["again"], {**values, "scheduled_for": now_s + gap_s})
    connection.execute(SQL["queue"], values)
    return True
