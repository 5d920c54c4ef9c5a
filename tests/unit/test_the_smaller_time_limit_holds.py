from pathlib import Path

from agent.executor.limits import Limits
from tests.unit.executing import Site


def test_a_job_s_own_limit_holds_up_to_the_largest_allowed() -> None:
    limits = Limits(max_timeout_s=100)
    assert limits.timeout_s(99) == (99, None)
    assert limits.timeout_s(100) == (100, None)


def test_a_limit_over_the_largest_is_replaced_with_a_warning() -> None:
    most_s, warning = Limits(max_timeout_s=100).timeout_s(101)
    assert most_s == 100
    assert warning is not None
    assert warning.startswith("WARNING")


def test_a_job_without_a_limit_gets_the_site_s() -> None:
    assert Limits(max_timeout_s=100, default_timeout_s=7).timeout_s(None) == (7, None)
    assert Limits(max_timeout_s=100, default_timeout_s=700).timeout_s(None) == (100, None)
    assert Limits(max_timeout_s=100).timeout_s(0) == (100, None)
    assert Limits().timeout_s(None) == (7 * 24 * 3600, None)


async def test_the_warning_stands_in_the_log(tmp_path: Path) -> None:
    ran = await Site(tmp_path, Limits(max_timeout_s=100)).bash("echo x", timeout_s=1000)
    assert "WARNING" in ran.log
    assert ran.document == "x"
