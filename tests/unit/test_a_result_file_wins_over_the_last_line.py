from pathlib import Path

from tests.unit.executing import Site


async def test_result_json_is_taken_word_for_word(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("""echo '{"a":  1.0}' > result.json; echo text > result.out; echo line""")
    assert ran.outcome.result == b'{"a":  1.0}'


async def test_result_out_comes_next_as_text(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash(": > result.json; printf 'é\\n\"x\"' > result.out; echo line")
    assert ran.document == 'é\n"x"'


async def test_else_it_is_the_last_line_trimmed(tmp_path: Path) -> None:
    assert (await Site(tmp_path).bash("echo one; echo '  two\t'")).document == "two"
    assert (await Site(tmp_path).bash("echo one; printf two")).document == "two"
    assert (await Site(tmp_path).bash("echo one; echo")).document == ""
    assert (await Site(tmp_path).bash("echo one; echo two >&2")).document == "two"


async def test_a_silent_job_has_an_empty_result(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash(":")
    assert ran.outcome.success
    assert ran.document == ""


async def test_a_long_last_line_is_whole(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("echo head; head -c 300000 /dev/zero | tr '\\0' x; echo")
    assert ran.document == "x" * 300_000


async def test_a_last_line_is_the_result_even_where_the_log_was_cut(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("yes | head -c 20000000; echo done")
    assert ran.document == "done"


async def test_a_result_that_is_no_json_fails_the_job(tmp_path: Path) -> None:
    for text in ("{", "NaN", "[1] [2]"):
        ran = await Site(tmp_path).bash(f"echo '{text}' > result.json")
        assert not ran.outcome.success
        assert ran.document["name"] == "BadResult"
        assert "result.json is not JSON" in ran.document["message"]


async def test_a_pipe_in_place_of_the_result_does_not_hold_up_the_agent(tmp_path: Path) -> None:
    assert (await Site(tmp_path).bash("mkfifo result.json; mkdir result.out; echo line")).document == "line"


async def test_python_returns_its_result(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("def main():\n    print('seen')\n    return {'a': [1, None, 'é']}")
    assert ran.outcome.result == '{"a":[1,null,"é"]}'.encode()
    assert ran.log == "seen\n"


async def test_a_python_that_leaves_before_main_returned_has_failed(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("import os\ndef main(): os._exit(0)")
    assert not ran.outcome.success
    assert "before main returned" in ran.document["message"]
