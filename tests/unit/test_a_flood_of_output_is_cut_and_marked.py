from pathlib import Path

from agent.executor.limits import Limits
from agent.executor.output import Output
from tests.unit.executing import Site


async def test_the_log_ends_with_the_size_of_the_gap(tmp_path: Path) -> None:
    ran = await Site(tmp_path, Limits(output_bytes=1000)).bash("yes 123456789 | head -c 100000; echo last")
    assert ran.outcome.success
    assert ran.log == "123456789\n" * 100 + "[... 99005 bytes dropped: log limit ...]\n"
    assert ran.document == "last"


async def test_output_within_the_limit_is_whole(tmp_path: Path) -> None:
    ran = await Site(tmp_path, Limits(output_bytes=1000)).bash("yes 123456789 | head -c 1000")
    assert ran.log == "123456789\n" * 100


async def test_a_flood_of_300_mb_is_read_to_its_end(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("yes | head -c 300000000; exit 7")
    assert ran.outcome.exit_code == 7
    assert len(ran.log) < 17 * 1024 * 1024
    assert "dropped: log limit" in ran.log


async def test_a_last_line_too_long_for_a_result_fails_the_job(tmp_path: Path) -> None:
    site = Site(tmp_path, Limits(result_bytes=1000))
    ran = await site.bash("head -c 200000 /dev/zero | tr '\\0' x; echo")
    assert ran.document["name"] == "ResultTooLarge"
    assert (await site.bash("head -c 200000 /dev/zero | tr '\\0' x; echo; echo short")).document == "short"


def shown(*chunks: bytes, most_bytes: int = 1000) -> str:
    texts: list[str] = []
    output = Output(texts.append, most_bytes=most_bytes, last_line_chars=100)
    for chunk in chunks:
        output.feed(chunk)
    output.finish()
    return "".join(texts)


def test_a_character_split_between_two_reads_stays_one() -> None:
    whole = "Grüße 🚚\n".encode()
    assert shown(*(whole[n : n + 1] for n in range(len(whole)))) == "Grüße 🚚\n"


def test_nul_and_broken_bytes_never_reach_the_log() -> None:
    assert shown(b"a\0b", b"\xff", b"end \xf0\x9f") == "ab\ufffdend \ufffd"


def test_the_cut_never_splits_a_character() -> None:
    assert shown("ééé".encode(), b"x", most_bytes=3) == "é\n[... 5 bytes dropped: log limit ...]\n"


def test_the_last_line_is_put_together_from_many_reads() -> None:
    output = Output(print, most_bytes=0, last_line_chars=100)
    for chunk in (b"one\ntw", b"o\nth", b"re", b"e"):
        output.feed(chunk)
    assert output.last_line == "three"
    output.feed(b"!\n")
    assert output.last_line == "three!"
    output.feed(b"\n")
    assert output.last_line == ""
