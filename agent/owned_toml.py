"""A TOML file by which whoever runs this machine decides something: nobody else may have written it."""

import os
import tomllib
from pathlib import Path
from typing import Any, Final

OTHERS_MAY_WRITE: Final = 0o022


def read(path: Path, hint: str = "") -> dict[str, Any]:
    """`hint`: ends what is said of a file that is no TOML. Raises ValueError, which says what is wrong."""
    try:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            told = tomllib.load(file)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML: {error}{hint}") from error
    if about.st_mode & OTHERS_MAY_WRITE or about.st_uid not in (0, os.geteuid()):
        raise ValueError(f"others may write {path}; give it to root and chmod 644 it")
    return told
