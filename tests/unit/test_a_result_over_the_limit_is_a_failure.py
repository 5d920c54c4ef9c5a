from pathlib import Path

from agent.executor.limits import Limits
from tests.unit.executing import Ran, Site


def is_too_large(ran: Ran) -> bool:
    assert not ran.outcome.success
    assert "store it elsewhere" in ran.document["message"]
    return bool(ran.document["name"] == "ResultTooLarge")


async def test_over_64_mib_is_too_large(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("def main(): return 'x' * (64 * 1024 * 1024)")
    assert is_too_large(ran)
    assert "64 MiB" in ran.document["message"]


async def test_a_result_of_10_mib_is_not(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("def main(): return 'x' * (10 * 1024 * 1024)")
    assert len(ran.document) == 10 * 1024 * 1024


async def test_it_holds_for_every_way_to_give_a_result(tmp_path: Path) -> None:
    site = Site(tmp_path, Limits(result_bytes=100))
    for where in ("> result.json", "> result.out", "", "> result.json; exit 3"):
        assert is_too_large(await site.bash(f"head -c 200 /dev/zero | tr '\\0' 1 {where}"))
