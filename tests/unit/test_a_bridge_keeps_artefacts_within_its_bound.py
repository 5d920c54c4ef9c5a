"""What a bridge keeps of what jobs import is named by its digest, bounded, and goes by its last use (I6)."""

import hashlib
import os
from pathlib import Path

from bridge.bundles.cache import Cache
from bridge.bundles.commands import environment_of, without_passwords


def added(cache: Cache, content: bytes, used_at: float) -> str:
    with cache.workshop() as folder:
        file = folder / "file"
        file.write_bytes(content)
        sha256, size = cache.add(file)
    assert (sha256, size) == (hashlib.sha256(content).hexdigest(), len(content))
    return sha256


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 250)
    cache.open()
    names = [added(cache, bytes([number]) * 100, number) for number in range(3)]
    for number, name in enumerate(names):
        os.utime(tmp_path / "cache" / name, (number, number))
    assert cache.has(names[0], 100)  # from now on it was used last
    cache.shrink(frozenset())
    assert [cache.size_of(name) for name in names] == [100, None, 100]
    assert cache.part(names[1], 0, 10) == b""
    assert cache.part(names[2], 99, 10) == b"\2"
    assert cache.part(names[2], 100, 10) == b""


def test_what_was_just_fetched_stays_whatever_the_bound(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 10)
    cache.open()
    names = [added(cache, bytes([number]) * 100, number) for number in range(2)]
    cache.shrink(frozenset(names[1:]))
    assert [cache.size_of(name) for name in names] == [None, 100]


def test_what_a_crash_left_half_fetched_goes_at_start(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 1000)
    cache.open()
    name = added(cache, b"x", 0)
    (tmp_path / "cache" / "making" / "left").mkdir()
    (tmp_path / "cache" / "making" / "left" / "half.whl").write_bytes(b"h")
    (tmp_path / "cache" / "no digest").write_bytes(b"n")
    Cache(tmp_path / "cache", 1000).open()
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted([name, "making"])
    assert list((tmp_path / "cache" / "making").iterdir()) == []


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    cache = Cache(tmp_path / "cache", 1000)
    cache.open()
    assert cache.part("../secret", 0, 10) == b""
    assert cache.size_of("../secret") is None


def test_a_file_that_is_not_whole_is_not_here(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 1000)
    cache.open()
    name = added(cache, b"xyz", 0)
    os.truncate(tmp_path / "cache" / name, 1)
    assert not cache.has(name, 3)
    assert not cache.has("ab" * 32, 3)


def test_what_fetches_is_told_no_secret_of_the_bridge() -> None:
    told = environment_of({
        "PIP_INDEX_URL": "i", "npm_config_registry": "r", "https_proxy": "p", "PATH": "/bin",
        "AMQP_URL": "amqp://user:secret@host", "ADMIN_PASSWORD_FILE": "f", "DATABASE_URL": "d",
    })  # fmt: skip
    assert set(told) == {"PIP_INDEX_URL", "npm_config_registry", "https_proxy", "PATH"}
    assert without_passwords("see https://me:secret@host/simple") == "see https://***@host/simple"
