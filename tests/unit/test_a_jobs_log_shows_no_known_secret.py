"""Redaction, in any pieces; what is a result is not touched."""

import asyncio
import itertools
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agent.executor.redaction import SHOWN, Redaction
from agent.logs import Secret
from agent.spool.credentials import Credentials
from tests.unit.executing import Running, Site, task

SECRET = "s3cret-of-the-till"


def shown(secrets: list[str], *pieces: str) -> str:
    redaction = Redaction(secrets)
    return "".join(map(redaction.feed, pieces)) + redaction.finish()


def test_it_stands_in_for_each_form_of_a_secret() -> None:
    key = "-----BEGIN-----\nabcdefghij\nshort\nklmnopqrst\n-----END-----\n"
    said = json.dumps({"a": 'quo"te/ü'}) + ' quo%22te/%C3%BC quo%22te%2F%C3%BC quo"te/ü'
    assert shown(['quo"te/ü'], said) == '{"a": "***"} *** *** ***'
    assert shown([key], "key:\n", key) == f"key:\n{SHOWN}\n"
    assert shown([key], "line klmnopqrst, short\n") == f"line {SHOWN}, short\n"


def test_what_is_in_every_log_by_chance_is_no_secret() -> None:
    assert shown(["", "1", "abc", "  "], "abc 1") == "abc 1"


def test_what_overlaps_is_one_and_what_may_go_on_is_kept_back_until_it_is_known() -> None:
    assert shown(["abXY", "XYcd"], "1abXYcd2") == "1***2"
    assert shown(["aaaa"], "a" * 1000) == SHOWN
    assert shown(["abcd", "abcdef"], "abcd", "ef!") == "***!"
    redaction = Redaction(["abcd", "abcdef"])
    assert redaction.feed("12ab") == "12"
    assert redaction.feed("cx") == "abcx"
    assert redaction.feed("abc") == ""
    assert redaction.finish() == "abc"


@given(
    st.lists(st.text("ab", min_size=4, max_size=8), min_size=1, max_size=4),
    st.text("abc", max_size=80),
    st.lists(st.integers(0, 80)),
)
def test_any_pieces_show_the_same_and_never_a_secret(secrets: list[str], text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[begin:end] for begin, end in itertools.pairwise(places)]
    whole = shown(secrets, text)
    assert shown(secrets, *pieces) == whole
    assert not any(secret in whole for secret in secrets)
    assert whole.replace(SHOWN, "") == "".join(
        letter
        for at, letter in enumerate(text)
        if not any(
            text.startswith(secret, begin)
            for secret in secrets
            for begin in range(max(0, at - len(secret) + 1), at + 1)
        )
    )


async def test_a_token_that_is_taken_over_while_its_job_runs_shows_no_more(tmp_path: Path) -> None:
    """Nor does the one before it, which may hold until its time is over."""
    credentials = Credentials(tmp_path, Secret("jwt_agent_a.first.c"), is_new=True)
    site, running, taken = Site(tmp_path / "site", hidden=credentials.tokens), Running(), tmp_path / "taken"
    said = f"until [ -e {taken} ]; do sleep 0.05; done; echo a.first.c a.second.c north_a.third.c"
    async with asyncio.TaskGroup() as group:
        job = group.create_task(site.run(task(f"echo a.third.c; {said}"), running))
        await running.says("a.third.c")
        for successor in ("second", "third"):
            credentials.succeed(f"jwt_agent_a.{successor}.c")
        taken.touch()
    assert job.result().log == f"a.third.c\n{SHOWN} {SHOWN} north_{SHOWN}\n"


async def test_a_job_says_it_in_two_pieces_and_fails_and_its_result_is_its_own(tmp_path: Path) -> None:
    site = Site(tmp_path)
    said = f"printf '{SECRET[:5]}'; sleep 0.05; echo '{SECRET[5:]}'"
    ran = await site.run(task(f"{said}; exit 3", hidden=(SECRET,)))
    assert ran.log == f"{SHOWN}\n"
    assert SECRET not in ran.outcome.result.decode(), "the end of the log stands in the error"
    ran = await site.run(task(said, hidden=(SECRET,)))
    assert (ran.log, ran.document) == (f"{SHOWN}\n", SECRET)
