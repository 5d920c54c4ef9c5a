"""Which languages this agent knows, and which of them it can run on this machine."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from agent.executor.languages.declared import SETTING, declared_in
from agent.executor.languages.javascript import BUN, DENO, ENGINES, NODE, JavaScript
from agent.executor.languages.language import Language
from agent.executor.languages.powershell import PowerShell
from agent.executor.languages.sql import DRIVERS, Sql

PROGRAMS: Final[Mapping[str, str]] = {  # by setting, what is looked for on the PATH
    NODE.setting: NODE.name,
    BUN.setting: BUN.name,
    DENO.setting: DENO.name,
    PowerShell.setting: "pwsh",
}
OWN: Final = ("bash", "python3")  # the executor's


class Known(Language, Protocol):
    @property
    def why_not(self) -> str:
        """What is missing on this machine; empty when it can be run."""
        ...


@dataclass(frozen=True, slots=True)
class Repertoire:
    """Beside bash and python3."""

    known: Mapping[str, Known] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[str, ...]:
        """Those that can be run here."""
        return tuple(sorted(name for name, one in self.known.items() if not one.why_not))

    def beside(self, own: Mapping[str, str | None]) -> list[str]:
        """All that this agent can run. `own`: bash and python3, and where their programs are."""
        return sorted([*(name for name, path in own.items() if path is not None), *self.runs])

    @property
    def missing(self) -> dict[str, str]:
        return {name: one.why_not for name, one in sorted(self.known.items()) if one.why_not}


def repertoire_of(env: Mapping[str, str]) -> Repertoire:
    """Raises ValueError, which says what is wrong with the file that declares languages."""
    paths = {setting: env.get(setting) or shutil.which(name) for setting, name in PROGRAMS.items()}
    known: dict[str, Known] = {"powershell": PowerShell(paths[PowerShell.setting])}
    for language, engines in ENGINES.items():
        best = next((one for one in engines if paths[one.setting]), engines[0])
        known[language] = JavaScript(best, paths[best.setting])
    known |= {dialect: Sql(dialect) for dialect in DRIVERS}
    if path := env.get(SETTING):
        known |= declared_in(Path(path), {*OWN, *known})
    return Repertoire(known)
