"""What `./dev demo flows` deploys is a flow, and what each of its steps runs is Python."""

import ast
import json

from bridge.flows.definition import RawScript, bodies, parsed
from bridge.flows.deployed import preview_of
from dev_tools.demo.nightly import FLOW


def test_it_is_a_flow_of_python() -> None:
    value = parsed(preview_of(json.dumps(FLOW["value"]).encode(), FLOW["path"], None).value)
    inside = [step for module in value.modules for body in bodies(module.value) for step in body]
    scripts = [one.value for one in (*value.modules, *inside) if isinstance(one.value, RawScript)]
    assert len(scripts) == len(value.modules)  # all but the loop, and the one in it
    for script in scripts:
        (main,) = [one for one in ast.parse(script.content).body if isinstance(one, ast.FunctionDef)]
        needed = len(main.args.args) - len(main.args.defaults)
        assert {argument.arg for argument in main.args.args[:needed]} <= set(script.input_transforms)
