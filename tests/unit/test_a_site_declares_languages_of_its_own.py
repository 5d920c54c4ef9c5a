from pathlib import Path

import pytest

from agent.executor.languages.declared import EXAMPLE, declared_in
from agent.executor.languages.repertoire import repertoire_of
from agent.executor.limits import Limits
from tests.unit.executing import Ran, Site, task

PERL = '["perl", "{file}"], file = "main.pl"'
READS_FILE = "local $/; open(my $f, '<', 'args.json'); print <$f>, qq(\\n)"


async def ran(folder: Path, line: str, code: str, args: object = None, limits: Limits | None = None) -> Ran:
    declared = folder / "languages.toml"
    declared.write_text(line + "\n")
    site = Site(folder / "work", limits, languages=repertoire_of({"LANGUAGES_FILE": str(declared)}).known)
    return await site.run(task(code, line.split(maxsplit=1)[0], args))


async def test_arguments_come_as_a_file_and_the_last_line_is_the_result(tmp_path: Path) -> None:
    job = await ran(tmp_path, f"perl = {{ command = {PERL} }}", READS_FILE, {"a": "é"})
    assert job.document == '{"a": "\\u00e9"}'


async def test_arguments_come_as_variables_and_the_result_is_a_file(tmp_path: Path) -> None:
    code = 'BEGIN { printf "[\\"%s\\", %s]", ENVIRON["ARG_name"], ENVIRON["ARG_list"] > "result.json" }'
    line = 'awk = { command = ["awk", "-f", "{file}"], file = "main.awk", args = "env", result = "file" }'
    job = await ran(tmp_path, line, code, {"name": "it's $(so)", "list": [1, 2]})
    assert job.document == ["it's $(so)", [1, 2]]


@pytest.mark.parametrize(("how", "code"), [("stdin", "print <STDIN>"), ("argv", "print $ARGV[-1]")])
async def test_arguments_come_as_input_or_as_the_last_word(tmp_path: Path, how: str, code: str) -> None:
    job = await ran(tmp_path, f'perl = {{ command = {PERL}, args = "{how}" }}', code, {"a": 1})
    assert job.document == '{"a": 1}'


async def test_a_failure_has_its_exit_code_and_its_last_lines(tmp_path: Path) -> None:
    job = await ran(tmp_path, f'perl = {{ command = {PERL}, result = "file" }}', "\ndie 'no stock'")
    assert job.outcome.exit_code == 255
    assert "no stock at main.pl line 2" in job.document["message"]
    silent = await ran(tmp_path, f'perl = {{ command = {PERL}, result = "file" }}', "1;")
    assert "without a result.json" in silent.document["message"]


async def test_its_limits_are_those_of_any_job(tmp_path: Path) -> None:
    line = f"perl = {{ command = {PERL} }}"
    job = await ran(tmp_path, line, "my $a = 'x' x (1 << 29); print length $a", limits=Limits(memory_mb=64))
    assert not job.outcome.success


async def test_what_cannot_be_run_or_passed_on_says_so(tmp_path: Path) -> None:
    absent = await ran(tmp_path, 'cobol = { command = ["cobc-none", "{file}"], file = "a.cob" }', "")
    assert absent.document["name"] == "InterpreterMissing"
    assert "LANGUAGES_FILE" in absent.document["message"]
    assert "cobol" not in repertoire_of({"LANGUAGES_FILE": str(tmp_path / "languages.toml")}).runs
    odd = await ran(tmp_path, f'perl = {{ command = {PERL}, args = "env" }}', "", {"a b": 1})
    assert "rename it" in odd.document["message"]
    long = await ran(tmp_path, f'perl = {{ command = {PERL}, args = "argv" }}', "", {"a": "x" * 200_000})
    assert 'args = "file"' in long.document["message"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("perl = 1", "a table with command and file"),
        ("perl = {", "is no TOML"),
        ("bash = { }", "bash is built in"),
        ("sqlite = { }", "sqlite is built in"),
        ('"A b" = { }', "small letters"),
        ('perl = { run = "x" }', "run is unknown"),
        ('perl = { command = "perl", file = "a" }', "a list of words"),
        ('perl = { command = ["perl"], file = "a" }', "{file}"),
        ('perl = { command = ["perl", "{file}"], file = "../a" }', "a plain file name"),
        ('perl = { command = ["perl", "{file}"], file = "args.json" }', "none of ours"),
        (f'perl = {{ command = {PERL}, args = "pipe" }}', "one of file, env, stdin, argv, not 'pipe'"),
        (f"perl = {{ command = {PERL}, result = 1 }}", "one of file, last_line"),
    ],
)
def test_a_wrong_line_is_named_with_a_right_one(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "languages.toml"
    path.write_text(line)
    with pytest.raises(ValueError, match=r"languages\.toml") as refused:
        declared_in(path, {"bash", "sqlite"})
    assert words in str(refused.value)


def test_a_file_that_others_may_write_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "languages.toml"
    with pytest.raises(ValueError, match="cannot be read"):
        declared_in(path, ())
    path.write_text(EXAMPLE)
    assert declared_in(path, ())["ruby"].file == "main.rb"
    path.chmod(0o666)
    with pytest.raises(ValueError, match="others may write"):
        declared_in(path, ())
