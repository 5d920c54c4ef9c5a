"""Runs inside a python3 job as `wrapper`: calls `main`, writes `result.json` (agent-api.md 7.4).

It is copied into the job's directory and imports as little as it can, because every job pays for it.
Any Python from 3.8 on must be able to run it.
"""
# ruff: noqa: PLC0415, PTH109, PTH118, PTH123 every module that is not imported makes every job faster

from __future__ import annotations

import binascii
import json
import os
import sys

TYPE_CHECKING = False  # `typing` itself is not imported: that alone takes longer than the wrapper
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def load(name: str) -> Any:
    """Import the script without leaving compiled code behind."""
    path = os.path.join(os.getcwd(), *name.split(".")) + ".py"
    with open(path, "rb") as file:
        source = file.read()
    module = type(sys)(name)
    module.__file__ = path
    module.__package__ = name.rpartition(".")[0]
    sys.modules[name] = module
    exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 running it is the job
    return module


def entrypoint(module: Any) -> Any:
    name = os.environ.get("MAIN_OVERRIDE") or "main"
    main = getattr(module, name, None)
    if not callable(main):
        raise TypeError(f"the script has no function {name}; define {name}(...)")
    return main


def chosen(main: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments to call `main` with: a default wins over null, and nothing unknown is passed."""
    while hasattr(main, "__wrapped__"):
        main = main.__wrapped__
    code = getattr(main, "__code__", None)
    if code is None:
        return given  # a class or a partial: it says itself what it misses
    positional = code.co_argcount
    names = code.co_varnames[: positional + code.co_kwonlyargcount]
    defaults = set(names[positional - len(main.__defaults__ or ()) : positional])
    defaults.update(main.__kwdefaults__ or ())
    takes_all = code.co_flags & 0x08  # **kwargs
    arguments = dict(given) if takes_all else {}
    for name in names[1:] if getattr(main, "__self__", None) is not None else names:
        arguments.pop(name, None)
        value = given.get(name)
        if value is not None:
            arguments[name] = converted(value, main.__annotations__.get(name))
        elif name not in defaults:
            arguments[name] = None
    return arguments


def converted(value: Any, annotation: Any) -> Any:
    """JSON has no bytes and no dates: they arrive as text, and the annotation tells."""
    if annotation is None or not isinstance(value, str):
        return value
    text = annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
    if text.startswith(("typing.Optional[", "Optional[")):
        text = text.partition("[")[2][:-1]
    kinds = {part.strip().rpartition(".")[2] for part in text.split("|")} - {"None"}
    if kinds == {"bytes"}:
        return binascii.a2b_base64(value)
    if kinds in ({"datetime"}, {"date"}):
        import datetime as dt

        iso = value[:-1] + "+00:00" if value.endswith(("Z", "z")) else value
        moment = dt.datetime.fromisoformat(iso)
        return moment if kinds == {"datetime"} else moment.date()
    return value


def stand_in(value: Any) -> Any:
    """For what JSON does not know: bytes as base64, tables as rows, anything else as its text."""
    if isinstance(value, (bytes, bytearray)):
        return binascii.b2a_base64(value, newline=False).decode()
    if type(value).__name__ == "DataFrame":
        return value.rows() if hasattr(value, "rows") else value.values.tolist()
    return str(value)


def clean(value: Any) -> Any:
    """The same with null for NaN, Infinity and NUL, and without halves of surrogate pairs."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, str):
        return value.replace("\0", "null").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, dict):
        return {clean(key) if isinstance(key, str) else str(key): clean(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(one) for one in value]
    return clean(stand_in(value))


def encoded(value: Any) -> bytes:
    def dumped(plain: Any) -> str:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=stand_in)

    try:
        text = dumped(value)
        if "\\u0000" not in text:
            return text.encode()
    except ValueError:  # NaN, Infinity, or half a surrogate pair: rare, so only now is it looked for
        pass
    return dumped(clean(value)).encode()


def save(document: bytes) -> None:
    with open("result.json", "wb") as file:
        file.write(document)


def streamed(chunks: Iterable[Any]) -> str:
    """Show a generator's chunks as they come; together they are the result."""
    texts = []
    for chunk in chunks:
        text = str(chunk)
        texts.append(text)
        print("WM_STREAM: " + text.replace("\n", "\\n"), flush=True)  # noqa: T201 the contract's own line
    return "".join(texts)


def is_stream(value: Any) -> bool:
    return hasattr(value, "__next__")


def returned(value: Any) -> Any:
    """What `main` returned, with its streams read to the end."""
    if hasattr(value, "__await__"):
        import asyncio

        async def wait() -> Any:
            return await value

        value = asyncio.run(wait())
    if is_stream(value):
        return streamed(value)
    if isinstance(value, dict) and is_stream(value.get("wm_stream")):
        return {**value, "wm_stream": streamed(value["wm_stream"])}
    return value


def error_object(error: BaseException) -> dict[str, Any]:
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next  # what the wrapper did helps nobody
    traceback.print_exception(type(error), error, trace)
    found: dict[str, Any] = {
        "message": str(error),
        "name": type(error).__name__,
        "stack": "\n".join(traceback.format_tb(trace)),
    }
    if getattr(error, "__dict__", None):
        found["extra"] = error.__dict__
    if os.environ.get("WM_FLOW_STEP_ID"):
        found["step_id"] = os.environ["WM_FLOW_STEP_ID"]
    return found


def run(name: str) -> int:
    """The exit code of the job."""
    with open("args.json", "rb") as file:
        given = json.loads(file.read())
    spare = os.open(os.devnull, os.O_RDONLY)  # to tell of an error, a file has to be opened
    try:
        main = entrypoint(load(name))
        document = encoded(returned(main(**chosen(main, given))))
    except BaseException as error:  # noqa: BLE001 whatever ends main is the error, SystemExit as well
        try:  # noqa: SIM105 contextlib would be one more import
            os.close(spare)
        except OSError:  # the script closed it
            pass
        save(encoded(error_object(error)))
        return 1
    save(document)
    return 0


def limit(words: str) -> None:
    """What the agent may not do from outside, in words of bash's `ulimit`."""
    import resource

    kinds = {
        "-c": (resource.RLIMIT_CORE, 1024),
        "-d": (resource.RLIMIT_DATA, 1024),
        "-u": (resource.RLIMIT_NPROC, 1),
        "-f": (resource.RLIMIT_FSIZE, 1024),
        "-n": (resource.RLIMIT_NOFILE, 1),
    }
    for word in words.split():
        name, _, value = word.partition("=")
        kind, unit = kinds[name]
        resource.setrlimit(kind, (int(value) * unit, int(value) * unit))


def gate_opens() -> bool:
    """See `Language.prepare`. Afterwards there is no input to wait for."""
    opened = os.read(0, 200)
    if opened.strip():
        limit(opened.decode())
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return bool(opened)


if __name__ == "__main__":
    sys.dont_write_bytecode = False  # what the script imports may well be compiled for the next job
    module_name = sys.argv.pop()
    sys.exit(run(module_name) if gate_opens() else 1)
