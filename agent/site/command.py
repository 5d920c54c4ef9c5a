"""`python -m agent status`: what a person at the site calls."""

import argparse


def run(options: argparse.Namespace) -> int:
    """The exit code. Raises `AgentError`."""
    from agent.site import look  # noqa: PLC0415 each command pays for its own imports

    if options.watch:
        try:
            look.watch(options.spool, as_json=options.json)
        except KeyboardInterrupt:
            return 0
    look.show(options.spool, as_json=options.json)
    return 0
