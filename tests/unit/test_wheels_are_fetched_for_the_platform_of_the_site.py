"""pip fetches for a platform that is not ours, only what is pinned; what cannot be had is said plainly."""

from pathlib import Path

import pytest

from bridge.bundles.errors import IndexDown, NotToBeHad
from bridge.bundles.model import Locked
from bridge.bundles.wheels import as_pip_reads, environment, fetch_wheels, pins, tags
from tests.support.wheels import artefact, wheel

PLATFORM = "cp312-glibc_2_28-aarch64"
HERE = environment(PLATFORM)


def names_of(platform: str) -> list[str]:
    words = tags(platform)
    return [value for option, value in zip(words[::2], words[1::2], strict=True) if option == "--platform"]


def test_a_site_gets_wheels_up_to_its_own_libc() -> None:
    names = names_of(PLATFORM)
    assert names[0] == "manylinux_2_28_aarch64"
    assert "manylinux2014_aarch64" in names
    assert "manylinux_2_29_aarch64" not in names
    assert not any("musl" in name for name in names)
    assert "manylinux2010_x86_64" not in names_of("cp311-glibc_2_11-x86_64")
    assert names_of("cp311-musl_1_2-x86_64") == [
        "musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64", "linux_x86_64",
    ]  # fmt: skip
    assert names_of("pp311-none-riscv64") == ["linux_riscv64"]
    assert "--abi" in tags(PLATFORM)
    assert "cp312" in tags(PLATFORM)


def test_a_condition_is_read_for_the_site_and_not_for_us() -> None:
    lock = (
        "# py: 3.11\na==1 ; platform_machine == 'aarch64'\nb==1 ; platform_machine == 'x86_64'\n"
        "c==1 ; python_full_version < '3.12'\nd[x]==2.0+local"
    )
    assert [pin.requirement for pin in pins(Locked(lock), HERE)] == ["a==1", "d[x]==2.0+local"]


def test_a_lock_may_name_its_files_itself() -> None:
    theirs = f"A.b==1 \\\n    --hash=sha256:{'ab' * 32} --hash=sha256:{'cd' * 32}\nc==1"
    assert [(pin.name, pin.digests) for pin in pins(Locked(theirs), HERE)] == [
        ("a-b", {"ab" * 32, "cd" * 32}), ("c", frozenset()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["a>=1", "a", "-r /etc/passwd", "--index-url http://elsewhere", "a @ file:///etc/passwd", "../a.whl",
     "git+https://host/a", "a==1 ; nonsense == 'x'"],
)  # fmt: skip
def test_a_line_that_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(NotToBeHad):
        pins(Locked(f"ok==1\n{line}"), HERE)


def test_the_index_that_resolves_is_the_one_that_serves() -> None:
    assert as_pip_reads({"UV_INDEX_URL": "https://own"})["PIP_INDEX_URL"] == "https://own"
    assert (
        as_pip_reads({"UV_INDEX_URL": "x", "PIP_INDEX_URL": "https://own"})["PIP_INDEX_URL"] == "https://own"
    )


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An index of our own: a folder."""
    index = tmp_path / "index"
    wheel(index, "alpha", "1.0", {"alpha.py": "x = 1\n"})
    wheel(index, "beta", "2.0", {"beta.py": ""}, "cp312-cp312-manylinux_2_17_aarch64")
    wheel(index, "beta", "2.0", {"beta.py": ""}, "cp312-cp312-manylinux_2_17_x86_64")
    wheel(index, "gamma", "1.0", {"gamma.py": ""}, "cp312-cp312-manylinux_2_31_aarch64")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": "/dev/null"}


async def test_what_runs_there_is_fetched(tmp_path: Path, env: dict[str, str]) -> None:
    alpha = artefact(tmp_path / "index" / "alpha-1.0-py3-none-any.whl")
    lock = Locked("# py: 3.12\nalpha==1.0\nbeta==2.0", {"alpha==1.0": [f"sha256:{alpha.sha256}"]})
    found = await fetch_wheels(lock, PLATFORM, tmp_path, env)
    assert [path.name for path, _, _ in found] == [
        "alpha-1.0-py3-none-any.whl", "beta-2.0-cp312-cp312-manylinux_2_17_aarch64.whl",
    ]  # fmt: skip


async def test_what_has_no_wheel_there_is_named(tmp_path: Path, env: dict[str, str]) -> None:
    with pytest.raises(NotToBeHad, match=r"no wheel for cp312-glibc_2_28-aarch64.*gamma"):
        await fetch_wheels(Locked("gamma==1.0"), PLATFORM, tmp_path, env)


async def test_another_file_than_the_lock_names_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    lock = Locked("alpha==1.0", {"alpha==1.0": [f"sha256:{'0' * 64}"]})
    with pytest.raises(NotToBeHad, match="another file than the lock names"):
        await fetch_wheels(lock, PLATFORM, tmp_path, env)


async def test_an_index_that_is_away_is_asked_again(tmp_path: Path) -> None:
    away = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_CONFIG_FILE": "/dev/null"}
    with pytest.raises(IndexDown):
        await fetch_wheels(Locked("alpha==1.0"), PLATFORM, tmp_path, away)


async def test_a_lock_that_asks_for_nothing_here_fetches_nothing(tmp_path: Path) -> None:
    assert await fetch_wheels(Locked("a==1 ; sys_platform == 'win32'"), PLATFORM, tmp_path, {}) == []
