"""Time, memory, depth and death of one evaluation; the next ones are served."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.errors import ExpressionFailed
from bridge.flows.expressions.children import Children
from bridge.flows.expressions.engine import Expressions
from bridge.flows.expressions.model import Limits
from tests.support.children import child_processes
from tests.support.looking_up import Kept
from tests.support.until import until

LIMITS = Limits(time_s=0.3, memory_mb=16, lookups=20)


@pytest.fixture
async def expressions() -> AsyncIterator[Expressions]:
    async with Expressions(LIMITS, most=2) as opened:
        yield opened


async def why(expressions: Expressions, text: str) -> str:
    with pytest.raises(ExpressionFailed) as failed:
        await expressions.evaluate(text, {}, Kept())
    return str(failed.value).rpartition("`: ")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("while (true) {}", "it took longer than 0.3 s"),
        ("(async () => { while (true) await 0 })()", "it took longer than 0.3 s"),
        ("/^(a+)+$/.test('a'.repeat(40) + 'b')", "it took longer than 0.3 s"),
        (
            "let a = []; while (true) a.push('x'.repeat(1000) + a.length)",
            "it needs more than 16 MB of memory",
        ),
        ("'x'.repeat(30e6)", "it needs more than 16 MB of memory"),
        ("(function f() { return f() + 1 })()", "RangeError: Maximum call stack size exceeded"),
        ("for (let i = 0; ; i++) flow_user_state(`k${i}`)", "it looks up more than 20 things"),
    ],
)
async def test_it_is_ended(expressions: Expressions, text: str, expected: str) -> None:
    assert await why(expressions, text) == expected
    assert await expressions.evaluate("1 + 1", {}, Kept()) == b"2"


async def test_others_do_not_wait_for_it(expressions: Expressions) -> None:
    async with asyncio.TaskGroup() as group:
        wild = group.create_task(why(expressions, "while (true) {}"))
        await asyncio.sleep(0)
        values = [await expressions.evaluate(f"{n} + 1", {}, Kept()) for n in range(3)]
        assert not wild.done()
    assert values == [b"1", b"2", b"3"]


def request(body: str, time_s: float = 60.0) -> dict[str, object]:
    return {"given": '{"names":{},"known":{}}', "bodies": f'["{body}"]', "time_s": time_s, "memory_mb": 16}


async def test_one_that_the_engine_does_not_end_is_killed() -> None:
    children = Children(1)
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        await children.ask(request("while (true) {}"), 0.2)
    assert time.monotonic() - began_s < 10
    assert "2" in (await children.ask(request("return 1 + 1"), 10))["json"]
    await children.close()


async def test_one_that_died_in_its_sleep_is_replaced() -> None:
    children, before = Children(1), child_processes()
    await children.ask(request("return 1"), 10)
    (idle,) = child_processes() - before
    os.kill(idle, signal.SIGKILL)
    await until(lambda: idle not in child_processes(), within_s=10)
    assert "2" in (await children.ask(request("return 1 + 1"), 10))["json"]
    await children.close()


def told_of(pid: int, what: str) -> str:
    return Path(f"/proc/{pid}/{what}").read_text()


async def test_the_process_can_open_nothing_and_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret@host/db")
    children, before = Children(1), child_processes()
    await children.ask(request("return 1"), 10)
    (pid,) = child_processes() - before
    assert "secret" not in told_of(pid, "environ")
    limits = told_of(pid, "limits").splitlines()
    for name, most in (("Max open files", "3"), ("Max processes", "0"), ("Max file size", "0")):
        (line,) = (one for one in limits if one.startswith(name))
        assert line.removeprefix(name).split()[:2] == [most, most]
    await children.close()
