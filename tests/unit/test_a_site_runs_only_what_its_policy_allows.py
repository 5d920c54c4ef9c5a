from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.config import read
from agent.errors import ConfigError
from agent.executor.limits import MIB, Limits
from agent.policy import Policy, policy_of
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Job

JOB = Job(
    job_id=JobId("j"), attempt=Attempt(1), workspace="main", tag=Tag("pos-suva"), language="python3", code="",
    args=b"{}", path="f/shop/rollup", permissioned_as="u/ana", timeout_s=60.0,
)  # fmt: skip
FILE = """
languages = ["python3", "bash"]
paths = ["f/shop/*"]
tags = ["pos-*"]
users = ["u/ana", "g/all"]
[limits]
timeout_s = 60
memory_mb = 512
output_mb = 1
"""


def written(folder: Path, text: str, mode: int = 0o644) -> Path:
    file = folder / "policy.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({}, ""),
        ({"timeout_s": None}, ""),
        ({"language": "go"}, "allows no language 'go'"),
        ({"path": "f/office/rollup"}, "allows no path 'f/office/rollup'"),
        ({"path": None}, "allows no path ''"),
        ({"tag": Tag("gpu")}, "allows no tag 'gpu'"),
        ({"permissioned_as": "u/eve"}, "allows no user 'u/eve'"),
        ({"timeout_s": 61.0}, "allows 60 s, and the job asks for 61"),
    ],
)
def test_what_it_names_is_allowed_and_nothing_else(tmp_path: Path, about: dict[str, Any], said: str) -> None:
    why_not = policy_of(written(tmp_path, FILE)).why_not(replace(JOB, **about))
    assert bool(why_not) == bool(said)
    assert said in why_not


def test_a_policy_that_names_nothing_allows_everything_and_an_empty_list_nothing(tmp_path: Path) -> None:
    assert policy_of(written(tmp_path, "")).why_not(JOB) == ""
    assert Policy(tags=()).why_not(JOB)


def test_its_limits_hold_unless_the_agents_own_are_stricter(tmp_path: Path) -> None:
    policy = policy_of(written(tmp_path, FILE))
    limits = policy.limits(Limits(memory_mb=100, result_bytes=5))
    assert (limits.memory_mb, limits.max_timeout_s, limits.result_bytes) == (100, 60, 5)
    assert (limits.output_bytes, limits.file_mb) == (MIB, Limits().file_mb)
    assert policy.limits(Limits()).memory_mb == 512
    assert Policy(most={"processes": 9000}).limits(Limits()).processes == 9000  # only our default is raised
    assert Policy(most={"processes": 9000}).limits(Limits(processes=5)).processes == 5
    assert Policy().limits(Limits(memory_mb=7)) == Limits(memory_mb=7)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("languages = 'bash'", 0o644, "languages must be a list"),
        ("tags = [1]", 0o644, "tags must be a list"),
        ("language = ['bash']", 0o644, "language is unknown; known are languages, paths"),
        ("[limits]\nmemory = 1", 0o644, r"\[limits\] knows timeout_s"),
        ("limits = 1", 0o644, r"\[limits\] knows"),
        ("[limits]\nmemory_mb = 0", 0o644, "memory_mb must be a whole number above 0"),
        ("[limits]\nmemory_mb = true", 0o644, "memory_mb must be a whole number"),
        ("languages", 0o644, "no TOML"),
        ("", 0o664, "others may write"),
    ],
)
def test_a_policy_that_cannot_be_believed_keeps_the_agent_from_starting(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    env = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://h"}
    with pytest.raises(ConfigError, match=said) as refused:
        read(env, tmp_path, None, None, policy=written(tmp_path, text, mode))
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        read(env, tmp_path, None, None, policy=tmp_path / "missing")
