"""I4: what an agent may do at the broker, said once, is the same as a decision and as RabbitMQ's patterns."""

import json
import re
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from agent.wire.claims import Tag, WorkerName
from agent.wire.routing import CONTROL, DEAD, JOBS, UP, UP_KINDS, control_queue, job_queue, up_key
from bridge.broker.auth import Asked, as_patterns, may
from bridge.broker.setup import definitions, static_password

NAMES = st.text(alphabet="ab.-|*+()[]$^\\ü% ", min_size=1, max_size=6)
RIGHTS = ("configure", "write", "read")


def by_pattern(patterns: dict[str, str], asked: Asked) -> bool:
    """As RabbitMQ decides with static permissions."""
    if asked.resource == "topic":
        may_write = asked.permission == "write" and asked.name == UP
        return may_write and re.search(patterns["topic"], asked.routing_key) is not None
    return re.search(patterns[asked.permission], asked.name) is not None


@given(NAMES, st.frozensets(NAMES, max_size=3), NAMES, NAMES)
def test_both_forms_agree_and_name_nobody_else(
    worker: str, tags: frozenset[str], other: str, tag: str
) -> None:
    own, others = WorkerName(f"ag-{worker}"), WorkerName(f"ag-{other}")
    held = frozenset(map(Tag, tags))
    patterns = as_patterns(own, held)
    queues = [control_queue(own), control_queue(others), job_queue(Tag(tag)), *map(job_queue, held), DEAD]
    exchanges = [UP, JOBS, CONTROL, DEAD, "amq.default", UP + "x"]
    keys = [up_key(kind, one) for kind, one in product((*UP_KINDS, "order"), (own, others))]
    places = [*product(["queue"], queues), *product(["exchange"], exchanges)]
    every = [
        Asked(resource=kind, name=name, permission=right) for (kind, name), right in product(places, RIGHTS)
    ]
    every += [Asked(resource="topic", name=UP, permission="write", routing_key=key) for key in keys]
    for asked in every:
        assert may(own, held, asked) == by_pattern(patterns, asked)
        allowed = asked.name in {UP, control_queue(own), *map(job_queue, held)}
        assert not may(own, held, asked) or (allowed and asked.permission != "configure")
        if asked.routing_key:
            assert may(own, held, asked) == (asked.routing_key in [up_key(kind, own) for kind in UP_KINDS])


def test_no_password_stands_in_the_definitions() -> None:
    login, secret = "ag-shops-suva@0123456789abcdef", b"secret"
    made = definitions({login: (WorkerName("ag-shops-suva"), [Tag("pos")])}, "/", secret)
    assert [one["name"] for one in made["users"]] == [login]
    assert static_password(secret, login) not in json.dumps(made)
    assert static_password(secret, login) != static_password(b"another", login)
