"""The command lines, from their parsers."""

import argparse
from collections.abc import Iterator

from agent import __main__ as agent_entrance
from agent.spool.tools import command as spool_command
from bridge import command_line
from dev_tools.reference.tables import code, page, table


def written() -> str:
    parsers = (
        agent_entrance._parser(),  # noqa: SLF001 - the reference may see what its users call
        spool_command._parser(),  # noqa: SLF001 - the same
        command_line.parser(),
    )
    parts = [part for parser in parsers for part in _described(parser, "")]
    return page("Commands", "Settings in the environment: [settings.md](settings.md).", *parts)


def _described(parser: argparse.ArgumentParser, meaning: str) -> Iterator[str]:
    subcommands = dict(_subcommands(parser))
    rows = list(map(_row, _arguments(parser)))
    if rows or not subcommands or not meaning:
        yield f"## `{parser.prog}`"
        yield _sentence(parser.description or meaning)
    if rows:
        yield table(["option", "meaning"], rows)
    for below, said in subcommands.items():
        yield from _described(below, said)


def _subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Each with what its parent says of it."""
    for action in parser._actions:  # noqa: SLF001 - argparse shows its arguments in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - see above
            said = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - see above
            for name, below in action.choices.items():
                yield below, said.get(name, "")


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - see above
        if not isinstance(action, argparse._SubParsersAction | argparse._HelpAction):  # noqa: SLF001 - see above
            yield action


def _row(action: argparse.Action) -> list[str]:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices:
        value = "|".join(map(str, action.choices))
    names = ", ".join(action.option_strings)
    meaning = (action.help or "").partition(" (default: %(default)s)")[0].replace("<", "&lt;")
    return [code(f"{names} {value}".strip()), meaning + ("; needed" if _is_needed(action) else "")]


def _is_needed(action: argparse.Action) -> bool:
    return action.required and bool(action.option_strings)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
