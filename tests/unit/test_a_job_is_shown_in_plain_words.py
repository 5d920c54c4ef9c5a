"""A job's state in a word and a mark, its result as a table, an error or a text, its log without escapes."""

import json

import pytest

from bridge.pages.run_words import (
    CELL_MAX_CHARS,
    ROWS_MAX,
    Shown,
    plain,
    pretty_json,
    result_shown,
    state_of,
    worker_of,
)
from bridge.runs.service import Text

BRIDGE = "ag-bridge-local"
ROW = {"status": None, "asked_by": None, "state": "running", "queue_worker": "ag-till", "ended_by": None,
       "waits_for": None, "kind": "preview", "queue_started_at": None}  # fmt: skip
OUT = {"state": "published", "custodian": None, "started_at": None}
HELD = {"state": "accepted", "custodian": "ag-shop", "started_at": None}


def text(value: object) -> Text:
    written = json.dumps(value)
    return Text(written, len(written))


@pytest.mark.parametrize(
    ("row", "custody", "word"),
    [
        ({"status": "success"}, None, "success"),
        ({"status": "failure"}, OUT, "failed"),
        ({"status": "canceled"}, None, "cancelled"),
        ({"asked_by": "ana"}, HELD, "cancelling"),
        ({"state": "later"}, None, "scheduled"),
        ({"state": "ready"}, None, "waiting"),
        ({"state": "ready", "kind": "flow"}, None, "waiting"),
        ({"state": "ready", "kind": "flow", "queue_started_at": 1.0}, None, "running"),
        ({"state": "ready", "waits_for": "key"}, None, "held back"),
        ({}, None, "running"),
        ({"queue_worker": BRIDGE}, None, "on its way"),
        ({"queue_worker": BRIDGE}, OUT, "on its way"),
        ({"queue_worker": BRIDGE}, HELD, "at its site"),
        ({"queue_worker": BRIDGE}, HELD | {"started_at": 1.0}, "running"),
        ({"queue_worker": BRIDGE}, HELD | {"state": "closed"}, "on its way"),
    ],
)
def test_where_a_job_stands(row: dict[str, object], custody: dict[str, object] | None, word: str) -> None:
    assert state_of(ROW | row, custody).word == word


def test_who_has_it_is_a_site_and_never_the_bridge() -> None:
    assert worker_of(ROW, None) == "ag-till"
    assert worker_of(ROW | {"queue_worker": BRIDGE}, OUT) == ""
    assert worker_of(ROW | {"queue_worker": BRIDGE}, HELD) == "ag-shop"
    assert worker_of(ROW | {"queue_worker": None, "ended_by": "w"}, None) == "w"


def test_a_list_of_maps_is_a_table() -> None:
    shown = result_shown(text([{"a": 1, "b": "x" * 1000}, {"c": [None]}] + [{"a": 0}] * ROWS_MAX))
    assert shown.columns == ["a", "b", "c"]
    assert shown.rows[0] == ["1", "x" * CELL_MAX_CHARS + "…", ""]
    assert shown.rows[1] == ["", "", "[null]"]
    assert (len(shown.rows), shown.left_out) == (ROWS_MAX, 2)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\nb", Shown(text="a\nb")),
        ([], Shown(text="[]")),
        ([1, {}], Shown(text="[\n  1,\n  {}\n]")),
        ({"error": {"name": "E", "message": "m", "stack": "at 1"}}, Shown(error="E: m", text="at 1")),
        ({"error": {"name": "E"}}, Shown(error="E")),
        ({"error": "x", "b": 1}, Shown(text='{\n  "error": "x",\n  "b": 1\n}')),
    ],
)  # fmt: skip
def test_another_result_is_a_text_or_an_error(value: object, shown: Shown) -> None:
    assert result_shown(text(value)) == shown


def test_an_error_of_an_odd_shape_is_shown_whole() -> None:
    shown = result_shown(text({"error": {"exit_code": 3}}))
    assert '"exit_code": 3' in shown.error


@pytest.mark.parametrize("written", ['{"a": ', "[" * 100_000])
def test_what_is_cut_or_too_deep_is_shown_as_it_is(written: str) -> None:
    assert result_shown(Text(written, len(written))) == Shown(text=written)
    assert pretty_json(Text(written, len(written))) == written
    assert result_shown(Text(written, 10**9)) == Shown(text=written, is_cut=True)
    assert pretty_json(Text(written, 10**9)) == written


def test_a_log_has_no_escapes() -> None:
    assert plain("\x1b[1;31mred\x1b[0m\r\n50 %\r100 %\0\x1b]0;title\x07.") == "red\n50 %\n100 %."
