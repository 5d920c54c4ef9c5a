from agent.wire.claims import Tag
from bridge.relay.languages import HELD_MAX, abilities, listed

TILL, LAB = Tag("till"), Tag("lab")
KNOWN = abilities([(["till"], ["bash", "bun"]), (["till", "lab"], ["bash"]), (["lab"], None)])


def test_a_language_is_run_by_all_by_some_or_by_none() -> None:
    assert KNOWN.tags == {TILL, LAB}
    assert KNOWN.is_run_by_all(TILL, "bash")
    assert not KNOWN.is_run_by_all(TILL, "bun")
    assert KNOWN.is_run(TILL, "bun")
    assert not KNOWN.is_run(LAB, "bun")
    assert KNOWN.is_run(LAB, "python3")  # by an agent of an older release, which does not tell
    assert KNOWN.is_run(LAB, "")
    assert KNOWN.is_run_by_all(LAB, "")


def test_what_some_agent_runs_is_pulled_until_too_many_wait_for_it() -> None:
    assert KNOWN.wanted([TILL], {}) == {"bash", "bun"}
    assert KNOWN.wanted([TILL], {(TILL, "bun"): HELD_MAX - 1}) == {"bash", "bun"}
    assert KNOWN.wanted([TILL], {(TILL, "bun"): HELD_MAX, (LAB, "bash"): HELD_MAX}) == {"bash", "bun"} - {
        "bun"
    }
    assert KNOWN.wanted([Tag("nobodys")], {}) == set()


def test_what_is_not_told_is_kept_apart_from_nothing() -> None:
    assert listed(None) is None
    assert listed([]) == "[]"
    assert not abilities([(["till"], [])]).is_run(TILL, "bash")
