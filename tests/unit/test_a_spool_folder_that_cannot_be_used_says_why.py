"""The spool's folder is held by one agent, found again after a new mount, and refused by name."""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import SpoolGone, SpoolLocked, SpoolUnusable
from agent.spool.folder import Folder
from agent.spool.outside import is_locked, noted_room
from agent.spool.refusal import why_unusable


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Folder(tmp_path / "spool")
    opened.database.touch()
    yield opened
    opened.release()


def mount_again(folder: Folder) -> None:
    """The same files come back as another folder to the kernel."""
    aside = folder.path.with_name("unplugged")
    folder.path.rename(aside)
    shutil.copytree(aside, folder.path)


def test_one_line_names_the_fault_and_the_mend() -> None:
    for number, said in (
        (errno.ENOSPC, "is full; free some space"),
        (errno.EIO, "answers with I/O errors; check its health"),
        (errno.EROFS, "is not writable .*; give this user the folder"),
        (errno.EFBIG, "cannot be used: File too large; name another folder"),
    ):
        with pytest.raises(SpoolUnusable, match=said):
            raise SpoolUnusable(why_unusable(Path("/spool"), OSError(number, os.strerror(number))))


def test_a_folder_that_was_refused_is_not_left_locked(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("no folder")
    with pytest.raises(SpoolUnusable, match="cannot be used: File exists"):
        Folder(tmp_path)
    assert not is_locked(tmp_path)
    (tmp_path / "blobs").unlink()
    Folder(tmp_path).release()


def test_it_is_locked_while_it_is_held(folder: Folder) -> None:
    assert not is_locked(folder.path.with_name("elsewhere"))
    assert is_locked(folder.path)
    folder.release()
    folder.release()  # twice is as good as once
    assert not is_locked(folder.path)


def test_the_same_spool_in_a_new_mount_is_taken_again(folder: Folder) -> None:
    mount_again(folder)
    assert not folder.is_ours()
    folder.take_again()
    assert folder.is_ours()
    assert is_locked(folder.path)


def test_a_spool_that_another_agent_took_meanwhile_stays_with_it(folder: Folder) -> None:
    mount_again(folder)
    other = Folder(folder.path)
    with pytest.raises(SpoolLocked, match=f"pid {os.getpid()}"):
        folder.take_again()
    assert not folder.is_ours()
    assert other.is_ours()
    other.release()


@pytest.mark.parametrize("replaced", ["identity", "spool.db"])
def test_another_spool_in_its_place_is_not_ours(folder: Folder, replaced: str) -> None:
    mount_again(folder)
    (folder.path / replaced).unlink()
    if replaced == "identity":
        (folder.path / replaced).write_text("other-a1b2c\n")
    with pytest.raises(SpoolGone, match="put it back if there is a copy"):
        folder.take_again()
    assert folder.path.with_name("unplugged").is_dir()


def test_of_a_deleted_folder_nothing_is_said_but_that_it_is_gone(folder: Folder) -> None:
    folder.note_room("3 MB free")
    assert noted_room(folder.path) == "3 MB free"
    assert 0 < folder.free_bytes() < folder.disk_bytes()
    shutil.rmtree(folder.path)
    assert noted_room(folder.path) == ""
    assert folder.free_bytes() == 0
    assert not folder.is_ours()
    assert isinstance(folder.fault(), FileNotFoundError)
    with pytest.raises(SpoolGone):
        folder.take_again()
