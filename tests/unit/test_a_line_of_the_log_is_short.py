"""Whoever makes a message can have its text logged, so a line has a bound: it must not fill the disk (I6)."""

import pytest
import structlog

from agent.logs import VALUE_MAX, configure


def test_a_long_value_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        configure("json")
        structlog.get_logger().warning("job.rejected", reason="x" * 1_000_000, attempt=1)
    finally:
        structlog.configure(**before)
    said = capsys.readouterr().err
    assert "(1000000 characters)" in said
    assert len(said) < VALUE_MAX + 200
