from pathlib import Path

import pytest

from tests.unit.executing import Site


async def test_bash_tells_its_exit_code_and_its_last_words(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("echo first; echo wrong >&2; exit 3")
    assert not ran.outcome.success
    assert ran.outcome.exit_code == 3
    assert ran.document == {
        "message": 'exit code for "bash run": 3, last log lines:\nfirst\nwrong\n',
        "name": "ExecutionErr",
        "exit_code": 3,
    }


async def test_only_the_last_600_characters_are_told(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("head -c 5000 /dev/zero | tr '\\0' x; exit 1")
    assert ran.document["message"].partition("\n")[2] == "x" * 600


async def test_a_failing_line_ends_a_bash_script_and_its_number_is_true(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("# one\nx=1\nno_such_command\necho never")
    assert ran.outcome.exit_code == 127
    assert "main.sh: line 3:" in ran.log
    assert "never" not in ran.log


async def test_the_result_file_of_a_failed_bash_is_its_error(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash(
        """echo '{"message":"till 3 is open","name":"TillOpen"}' > result.json; exit 4"""
    )
    assert not ran.outcome.success
    assert ran.document == {"message": "till 3 is open", "name": "TillOpen"}
    ran = await Site(tmp_path).bash("printf '{\"half' > result.json; exit 5")
    assert ran.document["exit_code"] == 5


async def test_python_tells_the_exception_and_where_it_was_raised(tmp_path: Path) -> None:
    code = "def main():\n    error = ValueError('no till 7')\n    error.till = 7\n    raise error\n"
    ran = await Site(tmp_path).python(code, path="f/shop/roll-up")
    assert not ran.outcome.success
    assert ran.outcome.exit_code == 1
    assert ran.document["message"] == "no till 7"
    assert ran.document["name"] == "ValueError"
    assert ran.document["extra"] == {"till": 7}
    assert "f/shop/roll_up.py" in ran.document["stack"]
    assert "line 4, in main" in ran.document["stack"]
    assert "wrapper.py" not in ran.document["stack"]
    assert "ValueError: no till 7" in ran.log
    assert "wrapper.py" not in ran.log


async def test_a_step_of_a_flow_is_named(tmp_path: Path) -> None:
    env = {"WM_FLOW_STEP_ID": "b"}
    assert (await Site(tmp_path).bash("exit 1", env=env)).document["step_id"] == "b"
    assert (await Site(tmp_path).python("def main(): 1/0", env=env)).document["step_id"] == "b"


@pytest.mark.parametrize(
    ("code", "name", "word"),
    [
        ("def main(:", "SyntaxError", "invalid syntax"),
        ("x = 1", "TypeError", "define main(...)"),
        ("import no_such_module", "ModuleNotFoundError", "no_such_module"),
        ("import sys\ndef main(): sys.exit(2)", "SystemExit", "2"),
        ("def main(at: 'datetime'): pass", "ValueError", "noon"),
    ],
)
async def test_a_script_that_python_cannot_run_is_named(
    tmp_path: Path, code: str, name: str, word: str
) -> None:
    ran = await Site(tmp_path).python(code, {"at": "noon"})
    assert not ran.outcome.success
    assert ran.document["name"] == name
    assert word in ran.document["message"]


@pytest.mark.parametrize("language", ["bash", "python3"])
async def test_a_signal_is_told_by_its_name(tmp_path: Path, language: str) -> None:
    site = Site(tmp_path)
    if language == "bash":
        ran = await site.bash("kill -SEGV $$")
    else:
        ran = await site.python("import os\ndef main(): os.kill(os.getpid(), 11)")
    assert ran.document == {
        "message": "process terminated by signal: SIGSEGV", "name": "ExecutionErr", "exit_code": 139,
    }  # fmt: skip
    assert ran.outcome.exit_code == 139
