"""Wheels of our own making, so that resolving needs no registry: a folder of them is an index to uv."""

import zipfile
from collections.abc import Mapping
from pathlib import Path


def put_wheel(folder: Path, name: str, version: str, requires: tuple[str, ...] = ()) -> Path:
    """A pure Python package with one module of its name, which says its `version`."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {one}" for one in requires]
    files = {
        f"{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for within, text in files.items():
            wheel.writestr(zipfile.ZipInfo(within), text)
    return path


def only_from(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a resolver that finds these wheels and reaches nothing else."""
    kept = {name: environment[name] for name in ("PATH", "HOME") if name in environment}
    empty, cache = folder / "index", folder / "cache"
    empty.mkdir(exist_ok=True)
    return {
        **kept,
        "UV_DEFAULT_INDEX": empty.as_uri(),
        "UV_FIND_LINKS": str(folder),
        "UV_CACHE_DIR": str(cache),
    }
