"""What a normal worker is made of: its folder, its tags, its use of its slots, a script's text on its way."""

from pathlib import Path

import pytest

from agent.database import WriteFailed
from bridge.errors import ConfigError, NotFound
from bridge.jobs.tag_rules import TagRules
from bridge.worker.folder import Folder
from bridge.worker.occupancy import Occupancy
from bridge.worker.script_log import ScriptLog
from bridge.worker.served import Served


def test_no_two_workers_have_one_folder(tmp_path: Path) -> None:
    first, second = Folder(tmp_path / "work"), Folder(tmp_path / "work")
    assert [first.path.name, second.path.name] == ["1", "2"]
    del first.lock  # as when its process ends
    assert Folder(tmp_path / "work").path.name == "1"
    with pytest.raises(ConfigError, match="WORKER_DIR"):
        Folder(Path("/dev/null/work"))


async def all_workspaces() -> list[str]:
    return ["admins", "shops"]


@pytest.mark.parametrize(
    ("own", "serves"),
    [
        ([], ["flow", "dependency", "bash"]),
        (
            ["*"],
            [
                "flow",
                "dependency",
                "bash",
                "flow-admins",
                "dependency-admins",
                "flow-shops",
                "dependency-shops",
            ],
        ),
        (["shops"], ["flow", "dependency", "bash", "flow-shops", "dependency-shops"]),
    ],
)
async def test_workspaces_with_tags_of_their_own_are_served_too(own: list[str], serves: list[str]) -> None:
    served = Served(["flow", "dependency", "bash", "flow"], TagRules(own_defaults=own), all_workspaces)
    await served.look()
    assert list(served.now()) == serves


def test_occupancy_is_of_all_slots_over_each_stretch() -> None:
    busy = Occupancy(2, 0.0)
    assert busy.of_all_time == 0.0
    busy.begins(10.0)
    busy.sample(20.0)
    busy.begins(20.0)
    busy.ends(30.0)
    busy.ends(30.0)
    busy.sample(30.0)
    assert busy.of_all_time == pytest.approx(30 / 60)
    assert busy.over(10.0) == pytest.approx(20 / 20)
    busy.sample(4000.0)
    assert busy.over(15.0) == 0.0
    assert busy.over(1800.0) == 0.0


class Record:
    """Where the text goes; it refuses as often as it is told to."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.said: list[tuple[str, int]] = []

    async def append(self, text: str, offset: int) -> None:
        self.said.append((text, offset))
        if self.errors:
            raise self.errors.pop(0)


async def test_text_that_the_store_refuses_goes_with_what_follows() -> None:
    record = Record(WriteFailed("away"))
    text = ScriptLog(record.append)
    text.write("a")
    assert not await text.flush()
    text.write("bc")
    await text.close()
    assert record.said == [("a", 0), ("abc", 0)]
    text.write("d")
    await text.close()
    assert record.said[-1] == ("d", 3)


async def test_text_of_a_job_that_is_gone_is_let_go() -> None:
    record = Record(NotFound("gone"))
    text = ScriptLog(record.append)
    text.write("a")
    await text.close()
    await text.close()
    assert record.said == [("a", 0)]
