"""A small disk of a site's own: a tmpfs below `.run/`, filled and freed at will. Only root may mount one."""

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Final

SIZE_MB: Final = 96
PIECE: Final = 64 * 1024
MOUNTS: Final = Path("/proc/mounts")


class SmallDisk:
    def __init__(self, path: Path) -> None:
        """Mounted at `path` when this returns. Raises OSError, CalledProcessError where that is refused."""
        self.path: Final = path
        self._ballast: Final = path / "ballast"
        path.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=700", "orvanta-chaos", str(path)]
        subprocess.run(command, check=True, capture_output=True)

    def fill(self) -> None:
        """To the last byte; what the agent writes from now on is refused."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(b"\0" * PIECE)

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)


def why_not() -> str:
    """Why this process may not mount a disk; empty when it may try."""
    return "" if os.geteuid() == 0 else "only root may mount a small disk"


def unmount_below(folder: Path) -> None:
    """What a killed run left mounted."""
    for line in MOUNTS.read_text().splitlines():
        place = Path(line.split()[1])
        if place.is_relative_to(folder):
            subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
