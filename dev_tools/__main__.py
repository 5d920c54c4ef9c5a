"""What `./dev COMMAND` runs once its environment stands."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from dev_tools.places import ROOT, SIDE_BY_SIDE
from dev_tools.stopping import stop_by_unwinding

INTERRUPTED: Final = 130


def main() -> int:
    os.chdir(ROOT)
    stop_by_unwinding()
    command, *arguments = sys.argv[1:]
    try:
        return COMMANDS[command](arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


def demo(arguments: list[str]) -> NoReturn:
    if arguments[:1] == ["flows"]:
        become("dev_tools.demo.flows", *arguments[1:])
    become("dev_tools.demo", *arguments)


def test(arguments: list[str]) -> NoReturn:
    named = any(Path(argument.partition("::")[0]).exists() for argument in arguments)
    become("pytest", *(() if named else SIDE_BY_SIDE), *arguments)


def bench(arguments: list[str]) -> int:
    names = sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py"))
    if not arguments or arguments[0] not in names:
        print(f"usage: ./dev bench NAME    NAME is one of: {', '.join(names) or 'none yet'}", file=sys.stderr)
        return 2
    return become(f"bench.{arguments[0]}", *arguments[1:])


def simulate(arguments: list[str]) -> NoReturn:
    become("tests.simulation", *arguments)


def chaos(arguments: list[str]) -> NoReturn:
    become("tests.chaos", *arguments)


def broker(_arguments: list[str]) -> int:
    from dev_tools.broker import BrokerError, find  # noqa: PLC0415 - the other commands start faster without it

    try:
        with find() as found:
            print(f"export AMQP_URL={found.url}")
            print(f"export RABBITMQ_MANAGEMENT_URL={found.management_url or ''}")
            print("RabbitMQ runs until Ctrl-C", flush=True)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
    except BrokerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def check(arguments: list[str]) -> int:
    from dev_tools.gate import run_gate  # noqa: PLC0415 - see above

    return run_gate(arguments)


def lock(_arguments: list[str]) -> int:
    from dev_tools.lock import write_constraints  # noqa: PLC0415 - see above

    try:
        write_constraints()
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


def wheels(arguments: list[str]) -> int:
    from dev_tools.wheels import main as look  # noqa: PLC0415 - see above

    return look(arguments)


def docs(_arguments: list[str]) -> int:
    from dev_tools.gate import build_site  # noqa: PLC0415 - see above

    verdict = build_site()
    print(verdict.text if not verdict.passed else verdict.note)
    return 0 if verdict.passed else 1


def reference(_arguments: list[str]) -> int:
    from dev_tools.reference.pages import write  # noqa: PLC0415 - see above

    for page in write():
        print(page.relative_to(ROOT))
    return 0


def become(module: str, *arguments: str) -> NoReturn:
    """This process turns into `python -m module`, so that signals and the exit code are the module's own."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - no shell is the point


COMMANDS: Final[Mapping[str, Callable[[list[str]], int]]] = {
    "demo": demo,
    "test": test,
    "check": check,
    "bench": bench,
    "simulate": simulate,
    "chaos": chaos,
    "broker": broker,
    "lock": lock,
    "wheels": wheels,
    "docs": docs,
    "reference": reference,
}

if __name__ == "__main__":
    sys.exit(main())
