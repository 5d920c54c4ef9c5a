"""An agent fetches a bundle part by part, believes none of it unchecked, and keeps it for the next job."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import LinkDown
from agent.trust import SigningKey
from tests.support.bundling import MIB, PLATFORM, Bridge, Site
from tests.support.cluster import MovedClock
from tests.support.until import until
from tests.support.wheels import wheel


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    noise = os.urandom(200_000).hex()
    return [
        wheel(tmp_path / "index", "alpha", "1.0", {"alpha/__init__.py": f"x = 1\n# {noise}\n"}),
        wheel(
            tmp_path / "index",
            "beta",
            "2.0",
            {"beta.py": "y = 2\n", "beta-2.0.data/scripts/run": "#!python\n"},
        ),
        wheel(tmp_path / "index", "gamma", "3.0", {"gamma.py": "z = 3\n"}),
    ]


def imported(folder: str, code: str) -> str:
    env = {"PYTHONPATH": folder}
    command = [sys.executable, "-B", "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()


async def test_a_job_finds_what_its_lock_names(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(*wheels[:2])
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(bundle)
        supplied = await site.supplies.of(bundle)
        assert supplied.unmet == ""
        assert imported(supplied.folder, "import alpha, beta; print(alpha.x + beta.y)") == "3"
        assert (
            imported(
                supplied.folder, "import alpha, os; print('run' in os.listdir(alpha.__path__[0] + '/../bin'))"
            )
            == "True"
        )
        assert site.settled == [bundle]
        assert bridge.sent_bytes == sum(path.stat().st_size for path in wheels[:2])


async def test_what_two_locks_share_is_fetched_and_kept_once(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    first, second = bridge.add(wheels[0], wheels[1]), bridge.add(wheels[0], wheels[2])
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(first)
        before = bridge.sent_bytes
        await site.need(second)
        assert bridge.sent_bytes - before == wheels[2].stat().st_size
        found = [
            Path((await site.supplies.of(one)).folder, "alpha", "__init__.py") for one in (first, second)
        ]
        assert found[0].samefile(found[1])
        assert found[0] != found[1]
        assert not found[0].stat().st_mode & 0o222


async def test_a_cut_link_goes_on_where_it_was(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[0])
    async with Site(tmp_path / "bundles", bridge).living() as site:
        for _ in range(3):
            bridge.parts_left = 2
            with pytest.raises(LinkDown):
                await site.need(bundle)
        bridge.parts_left = None
        await site.need(bundle)
        assert bridge.sent_bytes == wheels[0].stat().st_size


async def test_a_restart_goes_on_where_the_disk_was(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[0])
    bridge.parts_left = 3
    async with Site(tmp_path / "bundles", bridge).living() as site:
        with pytest.raises(LinkDown):
            await site.need(bundle)
        assert 0 < site.supplies.about(bundle)[0] < site.supplies.about(bundle)[1]
    bridge.parts_left, wants = None, len(bridge.wants)
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(bundle)
    assert all(want.sha256 for want in bridge.wants[wants:])  # the manifest is here
    assert bridge.sent_bytes == wheels[0].stat().st_size
    wants = len(bridge.wants)
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(bundle)
    assert len(bridge.wants) == wants  # nothing is asked for that is built


async def test_what_is_not_what_was_signed_is_never_built(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[0])
    sha256 = bridge.artefacts(bundle)[0].sha256
    bridge.files[sha256] = bridge.files[sha256][:-1] + b"!"
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(bundle)
        assert "another file than was signed" in (await site.supplies.of(bundle)).unmet
        assert list((tmp_path / "bundles" / "environments").iterdir()) == []
        site.over()
        bridge.files[sha256] = wheels[0].read_bytes()
        await site.need(bundle)  # who comes after asks once more
        assert (await site.supplies.of(bundle)).folder


async def test_a_manifest_that_the_bridge_has_not_signed_is_not_believed(
    tmp_path: Path, wheels: list[Path]
) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[1])
    bridge.key = SigningKey.made()
    clock = MovedClock()
    async with Site(tmp_path / "bundles", bridge, clock=clock).living() as site:
        site.needs[bundle] = 1
        async with site.linked():
            await until(lambda: site.supplies.waits()[3])
            assert "has not signed it" in site.supplies.waits()[3]
        assert not site.supplies.is_settled(bundle)


async def test_a_manifest_of_another_bundle_is_not_believed(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    wanted, other = bridge.add(wheels[1]), bridge.add(wheels[2])
    bridge.manifests[wanted] = bridge.manifests[other]
    async with Site(tmp_path / "bundles", bridge).living() as site:
        site.needs[wanted] = 1
        async with site.linked():
            await until(lambda: site.supplies.waits()[3])
            assert "of another bundle" in site.supplies.waits()[3]


async def test_what_cannot_be_had_is_said_and_blocks_nothing(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    never, later, now = bridge.add(wheels[0]), bridge.add(wheels[1]), bridge.add(wheels[2])
    bridge.errors = {never: ("there is no wheel", 0.0), later: ("the bridge fetches it", 60.0)}
    async with Site(tmp_path / "bundles", bridge).living() as site:
        site.needs = {never: 2, later: 3, now: 1}
        async with site.linked():
            await until(lambda: set(site.settled) == {now, never})
        assert (await site.supplies.of(never)).unmet == "there is no wheel"
        assert site.supplies.waits() == (3, 0, 0, "the bridge fetches it")


async def test_a_part_that_never_comes_is_asked_for_again(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[2])
    async with Site(tmp_path / "bundles", bridge).living() as site:
        site.needs[bundle] = 1
        bridge.silent = True
        async with site.linked():
            await until(lambda: bridge.wants)
        bridge.silent = False
        site.supplies.known[bundle].not_before_s = 0.0  # the time until then is over
        await site.need(bundle)


async def test_what_the_bridge_has_no_more_is_asked_for_anew(tmp_path: Path, wheels: list[Path]) -> None:
    bridge, clock = Bridge(), MovedClock()
    bundle = bridge.add(wheels[2])
    sha256 = bridge.artefacts(bundle)[0].sha256
    kept = bridge.files.pop(sha256)
    async with Site(tmp_path / "bundles", bridge, clock=clock).living() as site:
        site.needs[bundle] = 1
        async with site.linked():
            await until(lambda: site.supplies.waits()[3])
        bridge.files[sha256] = kept
        clock.ahead_s = 60.0
        await site.need(bundle)
    assert sum(not want.sha256 for want in bridge.wants) == 2


async def test_scripts_of_our_tags_are_fetched_for_ahead_of_need(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[2])
    bridge.needed = [bundle, "no bundle"]
    async with Site(tmp_path / "bundles", bridge).living() as site:
        async with site.linked(prefetch=True):
            await until(lambda: site.supplies.is_settled(bundle))
        assert site.supplies.waits() == (0, 0, 0, "")


async def test_what_was_used_longest_ago_makes_room(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundles = [bridge.add(one) for one in wheels]
    large = wheels[0].stat().st_size
    async with Site(tmp_path / "bundles", bridge, most_bytes=large * 5).living() as site:
        for bundle in (bundles[1], bundles[2], bundles[1]):
            site.over()
            await site.need(bundle)
            await site.supplies.of(bundle)
        used = site.supplies.used_bytes
        site.over()
        site.free_bytes = large * 4  # as much as it needs, and not a byte beside
        await site.need(bundles[0])
        assert site.supplies.used_bytes <= large * 5
        assert site.supplies.used_bytes > used
        site.over()
        site.free_bytes = -1
        await site.supplies._give_back()
        assert site.supplies.used_bytes == 0
        assert list((tmp_path / "bundles" / "unpacked").iterdir()) == []


async def test_what_a_job_in_custody_needs_is_never_dropped(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    small, large = bridge.add(wheels[1]), bridge.add(wheels[0])
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(small)
        site.free_bytes = 10
        site.needs[large] = 1
        async with site.linked():
            await until(lambda: site.supplies.waits()[3])
        assert "no room" in site.supplies.waits()[3]
        assert (await site.supplies.of(small)).folder
        site.free_bytes = -1
        del site.needs[large]
        await site.supplies._give_back()
        assert (await site.supplies.of(small)).folder


async def test_what_could_never_fit_is_said_by_name(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[0])
    async with Site(tmp_path / "bundles", bridge, most_bytes=1000).living() as site:
        await site.need(bundle)
        assert "BUNDLES_MB" in (await site.supplies.of(bundle)).unmet
        assert site.supplies.used_bytes == 0


async def test_a_bundle_of_another_interpreter_goes(tmp_path: Path, wheels: list[Path]) -> None:
    bridge = Bridge()
    bundle = bridge.add(wheels[2])
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(bundle)
    newer = Site(tmp_path / "bundles", bridge)
    newer.supplies._platform = lambda _family: PLATFORM.replace("cp311", "cp312")
    async with newer.living():
        assert not newer.supplies.is_settled(bundle)
        assert newer.supplies.used_bytes == 0


async def test_a_family_that_this_site_cannot_run_is_said(tmp_path: Path) -> None:
    async with Site(tmp_path / "bundles", Bridge()).living() as site:
        bundle = "node." + "ab" * 32
        await site.need(bundle)
        assert "no node" in (await site.supplies.of(bundle)).unmet


async def test_a_file_that_is_no_wheel_ends_its_jobs_with_its_name(tmp_path: Path) -> None:
    bridge = Bridge()
    bad = tmp_path / "bad-1.0-py3-none-any.whl"
    bad.write_bytes(b"no zip")
    bundle = bridge.add(bad)
    async with Site(tmp_path / "bundles", bridge).living() as site:
        await site.need(bundle)
        assert "bad-1.0-py3-none-any.whl cannot be unpacked" in (await site.supplies.of(bundle)).unmet


async def test_a_job_without_a_bundle_imports_nothing(tmp_path: Path) -> None:
    async with Site(tmp_path / "bundles", Bridge(), most_bytes=MIB).living() as site:
        supplied = await site.supplies.of("")
        assert (supplied.folder, supplied.unmet) == ("", "")
