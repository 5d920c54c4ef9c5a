"""A process that evaluates JavaScript and can do nothing else: `python -m bridge.flows.expressions.child`.

Each request is evaluated in an engine of its own. It ends when its standard input does.
"""

import resource
import sys
import time
from typing import Any, Final

import quickjs

from bridge.flows.expressions.frames import packed, read_from

MB: Final = 1024 * 1024
OWN_ROOM_MB: Final = 1024  # of address space, beyond what the engine may have: for what goes in and comes out
OPEN_FILES: Final = 3  # those that it begins with: in, out and errors
HARNESS: Final = r"""
(() => {
  "use strict";
  const Async = (async () => {}).constructor, stringify = JSON.stringify, own = Object.hasOwn, text = String;
  const shown = (thrown) => {
    try { return thrown instanceof Error ? text(thrown) : (stringify(thrown) ?? text(thrown)); }
    catch { return "something was thrown that cannot be shown"; }
  };
  return (given, bodies) => {
    const missing = [];
    let ended = {};
    const ask = (what, key) => {
      const known = given.known[what] ?? {};
      if (!own(known, key)) {
        missing.push([what, key]);
        throw new Error(`${what} ${key} is not known yet`);
      }
      if (own(known[key], "error")) throw new Error(known[key].error);
      return known[key].value;
    };
    const lookup = (what) => (key) => ask(what, text(key));
    const results = new Proxy({}, { get: (_, id) => typeof id === "symbol" ? undefined : ask("result", id) });
    const bound = {
      ...given.names, results: own(given.names, "results") ? given.names.results : results,
      variable: lookup("variable"), resource: lookup("resource"), flow_user_state: lookup("flow_user_state"),
    };
    const compiled = () => {
      for (const body of bodies.slice(0, -1)) {
        try { return new Async(...Object.keys(bound), body); } catch {}
      }
      return new Async(...Object.keys(bound), bodies.at(-1));
    };
    try {
      compiled()(...Object.values(bound))
        .then((value) => { ended = { ok: stringify(value) ?? "null" }; })
        .catch((thrown) => { ended = { error: shown(thrown) }; });
    } catch (thrown) {
      ended = { error: shown(thrown) };
    }
    return () => stringify(missing.length ? { missing } : ended);
  };
})()
"""


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """`json`: what the harness says, as JSON text, and `spent_s`; or `error`: the engine's words."""
    began_s = time.monotonic()
    try:
        return {"json": evaluated(request), "spent_s": time.monotonic() - began_s}
    except (quickjs.JSException, quickjs.StackOverflow, MemoryError, TimeoutError) as error:
        return {"error": str(error).partition("\n")[0].strip()}


def evaluated(request: dict[str, Any]) -> str:
    ends_s = time.monotonic() + request["time_s"]
    engine = quickjs.Context()
    engine.set_memory_limit(request["memory_mb"] * MB)
    engine.set_time_limit(request["time_s"])
    given = engine.parse_json(request["given"])
    bodies = engine.parse_json(request["bodies"])
    read = engine.eval(HARNESS)(given, bodies)
    while engine.execute_pending_job():
        if time.monotonic() > ends_s:
            raise TimeoutError("interrupted")
    text: str = read()
    return text


def confine() -> None:
    """From now on this process opens no file and no socket, and begins no other, whoever has it in hand."""
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
        resource.setrlimit(what, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def main() -> None:
    confine()
    while (request := read_from(sys.stdin.buffer)) is not None:
        room = (request["memory_mb"] + OWN_ROOM_MB) * MB
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        sys.stdout.buffer.write(packed(answer(request)))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
