"""Runs inside the job: calls `main` with the arguments and writes `result.json` (agent-api.md 7.4)."""

import base64
import datetime
import inspect
import json
import math
import sys
import traceback


def converted(value, annotation):
    if value is None:
        return None
    if annotation is bytes:
        return base64.b64decode(value)
    if annotation in (datetime.datetime, datetime.date):
        return annotation.fromisoformat(value)
    return value


def arguments(main, given):
    chosen = {}
    for name, parameter in inspect.signature(main).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            return given
        value = given.get(name)
        if value is None and parameter.default is not parameter.empty:
            continue
        chosen[name] = converted(value, parameter.annotation)
    return chosen


def plain(value):
    """JSON has no NaN, no bytes and no text with NUL."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    return value


def streamed(chunks):
    """A generator's chunks are shown as they come; together they are the result."""
    text = []
    for chunk in chunks:
        text.append(str(chunk))
        print("WM_STREAM: " + str(chunk).replace("\n", "\\n"), flush=True)  # noqa: T201 the contract's own line
    return "".join(text)


def save(value):
    with open("result.json", "w", encoding="utf-8") as file:  # noqa: PTH123 as few imports as can be in a job
        json.dump(plain(value), file, separators=(",", ":"), default=str)


def run():
    with open("args.json", encoding="utf-8") as file:  # noqa: PTH123 as above
        given = json.load(file)
    try:
        import script

        if not callable(getattr(script, "main", None)):
            raise TypeError("the script has no function main")
        value = script.main(**arguments(script.main, given))
        save(streamed(value) if inspect.isgenerator(value) else value)
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            save(None)
            return
        stack = "".join(traceback.format_tb(error.__traceback__)[1:])
        sys.stderr.write(traceback.format_exc())
        save({"message": str(error), "name": type(error).__name__, "stack": stack})
        sys.exit(1)


if __name__ == "__main__":
    run()
