"""Flows that nobody would write, small enough to be run by the hundred."""

from typing import Any, Final

from hypothesis import strategies as st

from tests.support.flow_vectors import Vector, full_value

AWAY: Final = "away"
BODIES: Final = ("return 1", "return [1, 2]", "return {'recover': True}", "fail")
TRUTHS: Final = ("true", "false", "result == 1")
DEPTH: Final = 2


def seldom(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), st.none(), strategy)


def predicates() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda expr: {"expr": expr}, st.sampled_from(TRUTHS))


def stops() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda rule, skip, message: (
            {**rule, "skip_if_stopped": skip} | ({} if message is None else {"error_message": message})
        ),
        predicates(), st.booleans(), st.sampled_from([None, "", "no"]),
    )  # fmt: skip


def retries() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda attempts, seconds, rule: {"constant": {"attempts": attempts, "seconds": seconds}} | rule,
        st.integers(0, 2), st.sampled_from([0, 5]), st.sampled_from([{}, {"retry_if": {"expr": "false"}}]),
    )  # fmt: skip


def suspends() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda need, goes_on: {
            "required_events": need,
            "timeout": 60,
            "continue_on_disapprove_timeout": goes_on,
        },
        st.integers(0, 2), st.booleans(),
    )  # fmt: skip


def controls() -> st.SearchStrategy[dict[str, Any]]:
    drawn = st.fixed_dictionaries(
        {
            "retry": seldom(retries()),
            "stop_after_if": seldom(stops()),
            "stop_after_all_iters_if": seldom(stops()),
            "skip_if": seldom(predicates()),
            "sleep": seldom(st.sampled_from([0, 3])),
            "suspend": seldom(suspends()),
            "continue_on_error": st.sampled_from([None, None, True]),
            "mock": seldom(st.just({"enabled": True, "return_value": 1})),
        }
    )
    return drawn.map(lambda found: {key: one for key, one in found.items() if one is not None})


def plain() -> st.SearchStrategy[dict[str, Any]]:
    tag = st.sampled_from([{}, {}, {}, {"tag": AWAY}])
    return st.builds(lambda body, tag: {"py": body, **tag}, st.sampled_from(BODIES), tag)


def loops(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda items, skip, parallel, at_once, deadline_s, modules: {
            "value": {
                "type": "forloopflow",
                "iterator": items,
                "skip_failures": skip,
                "parallel": parallel,
                "parallelism": at_once,
                "deadline_s": deadline_s,
                "modules": modules,
            }
        },
        st.sampled_from([[], [1], [1, 2, 3], 5]), st.booleans(), st.booleans(),
        st.sampled_from([None, 1, 2]), st.sampled_from([None, None, 30]), sequences(depth),
    )  # fmt: skip


def whiles(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda skip, modules: {
            "stop_after_if": {"expr": "true", "skip_if_stopped": False},
            "value": {"type": "whileloopflow", "skip_failures": skip, "modules": modules},
        },
        st.just(value=False), sequences(depth),
    )  # fmt: skip


def branches(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    every = st.builds(
        lambda parts, parallel, deadline_s: {
            "value": {
                "type": "branchall",
                "parallel": parallel,
                "deadline_s": deadline_s,
                "branches": [{"skip_failure": skip, "modules": modules} for skip, modules in parts],
            }
        },
        st.lists(st.tuples(st.booleans(), sequences(depth)), max_size=2), st.booleans(),
        st.sampled_from([None, None, 30]),
    )  # fmt: skip
    one = st.builds(
        lambda expr, first, default: {
            "value": {
                "type": "branchone",
                "branches": [{"expr": expr, "modules": first}],
                "default": default,
            }
        },
        st.sampled_from(TRUTHS), sequences(depth), sequences(depth),
    )  # fmt: skip
    return st.one_of(every, one)


def steps(depth: int) -> st.SearchStrategy[dict[str, Any]]:
    kinds = [plain(), plain(), st.just({"value": {"type": "identity"}})]
    if depth:
        kinds += [loops(depth - 1), whiles(depth - 1), branches(depth - 1)]
    return st.builds(lambda kind, rules: {**rules, **kind}, st.one_of(*kinds), controls())


def sequences(depth: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(steps(depth), max_size=3)


def acts() -> st.SearchStrategy[list[dict[str, Any]]]:
    words = [{"resume": 1, "flow_level": True}, {"disapprove": True, "flow_level": True}, {"pass_s": 10}]
    ends: list[dict[str, Any]] = [{"cancel": "enough"}, {"cancel": "now", "forced": True}, {"online": AWAY}]
    return st.lists(st.sampled_from([*words, *words, *ends]), max_size=4)


def flows() -> st.SearchStrategy[Vector]:
    return st.builds(
        _vector, sequences(DEPTH), seldom(plain()), acts(), st.sampled_from(["flow", "flowpreview"])
    )


def _vector(modules: Any, handler: Any, done: Any, kind: str) -> Vector:
    _name(modules, iter(range(10_000)))
    flow = {"modules": modules}
    if handler is not None:
        flow["failure_module"] = {**handler, "id": "failure"}
    return Vector(
        name="random",
        value=full_value(flow),
        args={},
        run={"kind": kind},
        flows={},
        scripts={},
        acts=done,
        offline=[AWAY],
        expect={},
    )


def _name(modules: Any, numbers: Any) -> None:
    """Ids of their own for the whole tree."""
    for module in modules:
        module["id"] = f"m{next(numbers)}"
        value = module.get("value", {})
        for part in (value, *value.get("branches", [])):
            _name(part.get("modules", []), numbers)
        _name(value.get("default", []), numbers)
