"""Killed between any two steps of the disk, the next life goes on, and no job ever finds half a bundle."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.bundles import shelf as shelf_module
from agent.bundles.shelf import Shelf
from agent.wire.bundles import Artefact, Manifest, bundle_of
from tests.support.bundling import PLATFORM
from tests.support.wheels import artefact, wheel

STEPS = (
    (Path, "replace"), (Path, "unlink"), (Path, "mkdir"), (Path, "hardlink_to"), (Path, "chmod"),
    (os, "fsync"), (shelf_module, "write_durably"), (shelf_module, "remove_tree"),
)  # fmt: skip


class Died(BaseException):
    pass


@contextmanager
def dying(at: int) -> Iterator[None]:
    """SIGKILL before step number `at` of the disk."""
    steps = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            nonlocal steps
            steps += 1
            if steps > at:
                raise Died
            return real(*args, **more)

        return step

    known = {(owner, name): getattr(owner, name) for owner, name in STEPS}
    for (owner, name), real in known.items():
        setattr(owner, name, counted(real))
    try:
        yield
    finally:
        for (owner, name), real in known.items():
            setattr(owner, name, real)


def contents(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*.py"))
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def work(folder: Path, manifest: Manifest, old: Manifest, files: dict[str, bytes]) -> dict[str, str]:
    """As an agent does: begin, fetch what is missing, build, and drop what is old. What jobs find then."""
    shelf = Shelf(folder, None)
    known = shelf.load()
    for one in known:
        if shelf.is_built(one) and one == manifest:
            assert contents(shelf.folder_of(one)) == {"alpha.py": "x = 1\n", "beta.py": "y = 2\n"}
    shelf.keep(manifest)
    for one in manifest.artefacts:
        fetched(shelf, one, files[one.sha256])
    shelf.build(manifest)
    if old in known:
        shelf.drop(old, [manifest])
    return contents(shelf.folder_of(manifest))


def fetched(shelf: Shelf, one: Artefact, content: bytes) -> None:
    while not shelf.is_here(one):
        have = shelf.have(one)
        while have < one.size:
            have = shelf.add(one, have, content[have : have + 300])
        assert shelf.check(one)


def test_at_every_step(tmp_path: Path) -> None:
    wheels = [
        wheel(tmp_path / "index", "alpha", "1.0", {"alpha.py": "x = 1\n"}),
        wheel(tmp_path / "index", "beta", "1.0", {"beta.py": "y = 2\n"}),
        wheel(tmp_path / "index", "old", "1.0", {"old.py": "z = 3\n"}),
    ]
    files = {artefact(path).sha256: path.read_bytes() for path in wheels}
    both = Manifest(bundle_of("python3", "a==1"), PLATFORM, tuple(map(artefact, wheels[:2])))
    old = Manifest(bundle_of("python3", "o==1"), PLATFORM, tuple(map(artefact, wheels[1:])))
    prepared = tmp_path / "prepared"
    first = Shelf(prepared, None)
    first.load()
    first.keep(old)
    for one in old.artefacts:
        fetched(first, one, files[one.sha256])
    first.build(old)
    at, was_whole = 0, False
    while not was_whole:
        folder = tmp_path / f"killed-{at}"
        shutil.copytree(prepared, folder)
        with dying(at):
            try:
                work(folder, both, old, files)
                was_whole = True
            except Died:
                pass
        assert work(folder, both, old, files) == {"alpha.py": "x = 1\n", "beta.py": "y = 2\n"}
        assert not list(folder.rglob("*.new"))
        assert not list(folder.rglob("*.tmp"))
        unpacked = {path.name for path in (folder / "unpacked").iterdir() if path.is_dir()}
        assert {one.sha256 for one in both.artefacts} <= unpacked
        at += 1
    assert at > 30


@pytest.mark.parametrize("kept", [0, 100])
def test_bytes_that_never_reached_the_disk_are_fetched_again(tmp_path: Path, kept: int) -> None:
    path = wheel(tmp_path / "index", "alpha", "1.0", {"alpha.py": "x = 1\n"})
    one, content = artefact(path), path.read_bytes()
    shelf = Shelf(tmp_path / "bundles", None)
    shelf.load()
    assert shelf.add(one, 0, content[:200]) == 200
    os.truncate(tmp_path / "bundles" / "partial" / one.sha256, kept)
    assert shelf.add(one, 200, content[200:]) == kept
    fetched(shelf, one, content)
    assert shelf.is_here(one)


def test_what_rots_on_the_disk_is_not_believed(tmp_path: Path) -> None:
    path = wheel(tmp_path / "index", "alpha", "1.0", {"alpha.py": "x = 1\n"})
    manifest = Manifest(bundle_of("python3", "a==1"), PLATFORM, (artefact(path),))
    shelf = Shelf(tmp_path / "bundles", None)
    shelf.load()
    shelf.keep(manifest)
    (tmp_path / "bundles" / "manifests" / manifest.bundle).write_bytes(b"x" * 64 + b"\n" + manifest.packed())
    (tmp_path / "bundles" / "manifests" / "no bundle").write_bytes(b"")
    assert Shelf(tmp_path / "bundles", None).load() == []
    assert list((tmp_path / "bundles" / "manifests").iterdir()) == []
