"""The warm parent of python3 jobs: it has imported what they need, and forks one process for each.

Runs as a script: `zygote.py WRAPPER SOCKET`, under any Python from 3.8 on, and imports nothing of ours. It
has one thread, runs no job's code itself, and ends when the agent's end of the socket is closed.
"""
# ruff: noqa: PTH100, PTH118, PTH120, PTH123 as in the wrapper: it must stay small

from __future__ import annotations

import array
import atexit
import contextlib
import ctypes
import gc
import importlib
import importlib.machinery
import io
import json
import os
import socket
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, NoReturn

# What scripts import most, and what each costs to import is paid once. Nothing that begins threads.
PRELOADED = (
    "base64", "collections", "dataclasses", "datetime", "enum", "functools", "hashlib", "logging", "math",
    "pathlib", "random", "re", "traceback", "typing",
)  # fmt: skip
REQUEST_BYTES = 1024 * 1024
WORD_BYTES = 4096
PR_SET_DUMPABLE = 4
MARK = "ORVANTA_JOB_DIRECTORY"  # as in `agent/executor/proc.py`
COERCED = "LC_CTYPE"  # Python puts it into the environment itself where no locale is set (PEP 538)


def receive(link: socket.socket) -> tuple[bytes, list[int]]:
    """One request with its descriptors; empty once the agent is gone."""
    room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
    text, sent, _, _ = link.recvmsg(REQUEST_BYTES, room)
    numbers = array.array("i")
    for _, _, content in sent:
        numbers.frombytes(content)
    return text, list(numbers)


def serve(link: socket.socket) -> dict[str, Any] | None:
    """Fork for each request, which brings a line to the process to be.

    Returns in the child, once it has a job; in the parent None, when all is over.
    """
    while True:
        text, lines = receive(link)
        if not text:
            return None
        reading, writing = os.pipe()
        try:
            between = os.fork()
        except OSError as error:
            answer = word(error=str(error))
        else:
            if between == 0:
                orphan(writing)
                for number in (link.detach(), reading, writing):
                    os.close(number)
                return begin(socket.socket(fileno=lines[0]))
            os.waitpid(between, 0)  # from now on its child is the agent's
            answer = os.read(reading, WORD_BYTES)
        for number in (*lines, reading, writing):
            os.close(number)
        link.send(answer)


def orphan(writing: int) -> None:
    """Fork once more, and return in the grandchild: whoever adopts orphans becomes its parent."""
    try:
        child = os.fork()
        if child == 0:
            return
        os.write(writing, word(child))
    except OSError as error:
        os.write(writing, word(error=str(error)))
    os._exit(0)


def begin(line: socket.socket) -> dict[str, Any]:
    """Wait for a job; then become its process: with session, folder, environment, descriptors of its own."""
    line.send(word(os.getpid()))
    text, numbers = receive(line)
    if not text:
        os._exit(0)  # there is none any more
    try:
        job: dict[str, Any] = json.loads(text)
        os.setsid()
        os.chdir(job["directory"])
        stdin, output = numbers
        os.dup2(stdin, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        surround(job["env"])
        prctl(PR_SET_DUMPABLE, 1)  # as after an exec: what is in its memory is the job's own
        line.send(word(os.getpid()))
    except BaseException as error:  # noqa: BLE001 whatever it is, the agent starts the job another way
        line.send(word(os.getpid(), f"{type(error).__name__}: {error}"))
        os._exit(1)
    for number in (line.detach(), *numbers):
        os.close(number)
    return job


def surround(env: dict[str, str]) -> None:
    """Its environment and no other, also where /proc/<pid>/environ and so the agent looks for its mark."""
    coerced = os.environ.get(COERCED)
    begin_, end = environment_area()
    mark = os.fsencode(f"{MARK}={env[MARK]}") + b"\0"
    if len(mark) > end - begin_:
        raise ValueError("the name of the job's directory is too long")
    os.environ.clear()  # first: from here on nothing points into the area
    if coerced is not None:
        os.environ[COERCED] = coerced
    os.environ.update(env)
    ctypes.memset(begin_, 0, end - begin_)
    ctypes.memmove(begin_, mark, len(mark))
    time.tzset()


def environment_area() -> tuple[int, int]:
    """Where the kernel put the environment when this process was started (proc(5): env_start, env_end)."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    begin_, end = int(fields[47]), int(fields[48])
    if not 0 < begin_ < end:
        raise ValueError("the kernel does not tell where the environment is")
    return begin_, end


def word(pid: int = 0, error: str = "") -> bytes:
    """What the agent is told. `pid`: of the job's process, once there is one."""
    return json.dumps({"pid": pid, "error": error[:1000]}).encode()


def prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if LIBRARY.prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def renamed(code: CodeType, path: str) -> CodeType:
    """The same code, as compiled from `path`."""
    inner = tuple(renamed(one, path) if isinstance(one, type(code)) else one for one in code.co_consts)
    return code.replace(co_filename=path, co_consts=inner)


def run(job: dict[str, Any], wrapper: CodeType) -> None:
    """Be what `python -u -B -m wrapper MODULE` is in the job's directory."""
    directory = job["directory"]
    path = os.path.join(directory, "wrapper.py")
    extra = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    sys.path[:0] = [directory, *(os.path.abspath(one) for one in extra)]
    sys.argv[:] = [path, job["module"]]
    main = type(sys)("__main__")
    main.__dict__.update(
        __builtins__=__builtins__,
        __file__=path,
        __package__="",
        __spec__=importlib.machinery.ModuleSpec("wrapper", None, origin=path),
    )
    sys.modules["__main__"] = main
    gc.enable()
    code: int | None = None
    try:
        exec(renamed(wrapper, path), main.__dict__)  # noqa: S102 it is our own wrapper
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        code = end.code
    if code is not None:  # by now no frame of the script is left
        leave(code, job["module"])


def leave(code: int, script: str) -> NoReturn:
    """End as an interpreter ends, but without taking itself apart, which takes longer than most jobs.

    Threads are waited for, exit functions called, files flushed, the script's own objects let go.
    """
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 as the interpreter's own end does
    atexit._run_exitfuncs()  # noqa: SLF001 the same
    for one in gc.get_objects():  # without those that were frozen, which no job has written to
        if isinstance(one, io.IOBase):
            with contextlib.suppress(OSError, ValueError):  # closed, or for reading
                one.flush()
    sys.modules.pop(script, None)  # nobody else knows it, so its objects are let go, with all that they see
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    LIBRARY.exit(code)  # and what libraries registered with C's own atexit
    raise AssertionError


def warm_up(wrapper: str) -> CodeType:
    for name in PRELOADED:
        importlib.import_module(name)
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [one for one in sys.path if os.path.abspath(one or ".") != own]
    sys.path_importer_cache.pop(own, None)
    with open(wrapper, "rb") as file:
        code = renamed(compile(file.read(), "wrapper.py", "exec", dont_inherit=True), wrapper)
    gc.collect()
    gc.disable()
    gc.freeze()  # so that no child copies the pages of what it only reads
    return code


LIBRARY = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    prctl(PR_SET_DUMPABLE, 0)  # no job of the same account looks into it, or puts anything there
    own_end = socket.socket(fileno=int(sys.argv[2]))
    compiled = warm_up(sys.argv[1])
    environment_area()
    own_end.send(b"ready")
    mine = serve(own_end)
    if mine is not None:
        run(mine, compiled)
