"""What a job that starts finds of what it imports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Supplied:
    folder: str = ""  # what the job may import; empty: nothing
    unmet: str = ""  # why it cannot


async def nothing(_bundle: str) -> Supplied:
    """Of an agent that fetches no bundles."""
    return Supplied()


def on_path(language: str, folder: str) -> dict[str, str]:
    """The variables by which the interpreter of this language finds it."""
    if not folder:
        return {}
    return {"PYTHONPATH": folder} if language == "python3" else {"NODE_PATH": f"{folder}/node_modules"}
