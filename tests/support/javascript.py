"""Expressions of flows, evaluated by one process that many tests share: a line asks, a line answers.

The engine is the node that the tests' browser driver brings along: any machine that runs them has it, and it
is not the one that the bridge embeds, so that the machine is tried with two.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from playwright._impl._driver import compute_driver_executable

PROGRAM: Final = """
const lines = require('readline').createInterface({input: process.stdin});
const Async = Object.getPrototypeOf(async function () {}).constructor;
lines.on('line', async (line) => {
  const {text, names, results} = JSON.parse(line);
  const statements = /^\\s*(const|let|var|if|for|return|throw)\\b|;/.test(text.replace(/(["'`]).*?\\1/g, ''));
  let answer;
  try {
    const found = await new Async(...Object.keys(names), 'results', statements ? text : `return ${text}`)(
      ...Object.values(names), new Proxy(results, {get: (all, id) => all[id] ?? null}));
    answer = {found: found === undefined ? null : found};
  } catch (error) {
    answer = {failed: String(error)};
  }
  process.stdout.write(JSON.stringify(answer) + '\\n');
});
"""


class Javascript:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def evaluate(
        self, text: str, names: Mapping[str, object], results: Mapping[str, object]
    ) -> tuple[bool, object]:
        """Whether it came to a value, and that, or what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"text": text, "names": names, "results": results}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return "found" in answer, answer.get("found", answer.get("failed"))


@contextmanager
def javascript() -> Iterator[Javascript]:
    node, _ = compute_driver_executable()
    with subprocess.Popen(
        [node, "-e", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Javascript(process)
        assert process.stdin is not None
        process.stdin.close()
