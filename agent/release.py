"""Which release this is, and how its programs were called: pyproject.toml alone holds the number."""

import argparse
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

PROJECT: Final = "orvanta-edge"
UNKNOWN: Final = "0+unknown"
BESIDE: Final = Path(__file__).resolve().parent.parent / "pyproject.toml"  # in a checkout only


@cache
def version() -> str:
    """Of what is installed; of the checkout where nothing is; `UNKNOWN` where there is no word of it."""
    from importlib.metadata import PackageNotFoundError  # noqa: PLC0415 10 ms, and most commands show none
    from importlib.metadata import version as installed  # noqa: PLC0415 see above

    try:
        return installed(PROJECT)
    except PackageNotFoundError:
        return version_in(BESIDE)


def version_in(project_file: Path) -> str:
    """What a checkout's pyproject.toml says; `UNKNOWN` where this is not ours."""
    import tomllib  # noqa: PLC0415 see above

    try:
        project = tomllib.loads(project_file.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return UNKNOWN
    return str(project["version"]) if project.get("name") == PROJECT else UNKNOWN


def called_as(script: str, module: str) -> str:
    """What a person typed to get here, for help and usage: the console script or `python -m`."""
    return script if Path(sys.argv[0]).name == script else f"python -m {module}"


class ShowVersion(argparse.Action):
    """`--version`: print it and end. It is looked up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], **_about: Any) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help="show the release and end")

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        _values: str | Sequence[Any] | None,
        _option: str | None = None,
    ) -> None:
        sys.stdout.write(f"Orvanta Edge {version()}\n")
        parser.exit(0)
