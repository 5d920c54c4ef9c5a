"""npm fetches what a lock pins, with the integrity that it names; the site unpacks it where node looks."""

import base64
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.bundles.shelf import Shelf
from agent.wire.bundles import Kind, Manifest, bundle_of
from bridge.bundles.errors import IndexDown, NotToBeHad
from bridge.bundles.model import Locked
from bridge.bundles.tarballs import BETWEEN, fetch_tarballs, packages
from tests.support.cluster import served
from tests.support.wheels import artefact

PLATFORM = "node20-glibc_2_36-x86_64"
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here")


def tarball(name: str, source: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        files = {"package/package.json": json.dumps({"name": name, "version": "1.0.0", "main": "index.js"})}
        for path, text in (files | {"package/index.js": source}).items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def integrity_of(content: bytes) -> str:
    return f"sha512-{base64.b64encode(hashlib.sha512(content).digest()).decode()}"


FILES = {
    "left-pad": tarball("left-pad", "module.exports = (t) => ' ' + require('@shop/inner') + t"),
    "@shop/inner": tarball("@shop/inner", "module.exports = 'in'"),
}


async def answer(request: Request) -> Response:
    """As a registry: what is known of a package, and its file."""
    name = request.path_params["name"]
    if name.startswith("files/"):
        return Response(FILES[name.removeprefix("files/").removesuffix(".tgz")])
    content = FILES.get(name)
    if content is None:
        return Response(status_code=404)
    dist = {"tarball": f"{request.base_url}files/{name}.tgz", "integrity": integrity_of(content)}
    version = {"name": name, "version": "1.0.0", "dist": dist}
    return JSONResponse({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}})


@pytest.fixture
async def env(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """A registry of our own."""
    async with served(Starlette(routes=[Route("/{name:path}", answer)])) as url:
        yield {
            "PATH": f"{Path(shutil.which('npm') or 'npm').parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "NPM_CONFIG_REGISTRY": url,
            "NPM_CONFIG_FETCH_RETRIES": "0",
        }


def lock_of(**more: Any) -> str:
    entries: dict[str, Any] = {
        "": {"dependencies": {"left-pad": "1.0.0"}},
        "node_modules/left-pad": {"version": "1.0.0", "integrity": integrity_of(FILES["left-pad"])},
        "node_modules/@shop/inner": {"version": "1.0.0", "integrity": integrity_of(FILES["@shop/inner"])},
    }
    return "{}" + BETWEEN + json.dumps({"lockfileVersion": 3, "packages": entries | more})


def required(modules: str) -> str:
    command = [shutil.which("node") or "node", "-p", "require('left-pad')('x')"]
    env = {"NODE_PATH": modules}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.rstrip()


@needs_npm
async def test_a_job_finds_them_where_node_looks(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "made").mkdir()
    found = await fetch_tarballs(Locked(lock_of()), PLATFORM, tmp_path / "made", env)
    assert [(kind, place) for _, kind, place in found] == [
        (Kind.TARBALL, "node_modules/left-pad"), (Kind.TARBALL, "node_modules/@shop/inner"),
    ]  # fmt: skip
    artefacts = tuple(artefact(path, kind, place) for path, kind, place in found)
    manifest = Manifest(bundle_of("bun", lock_of()), PLATFORM, artefacts)
    shelf = Shelf(tmp_path / "bundles", None)
    shelf.load()
    shelf.keep(manifest)
    for one, (path, _, _) in zip(artefacts, found, strict=True):
        shelf.add(one, 0, path.read_bytes())
        assert shelf.check(one)
    shelf.build(manifest)
    assert required(f"{shelf.folder_of(manifest)}/node_modules") == " inx"


@needs_npm
async def test_another_file_than_the_lock_names_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    other = {"node_modules/left-pad": {"version": "1.0.0", "integrity": integrity_of(b"other")}}
    with pytest.raises(NotToBeHad, match="another file than the lock names: left-pad"):
        await fetch_tarballs(Locked(lock_of(**other)), PLATFORM, tmp_path, env)


@needs_npm
async def test_what_is_not_there_is_named_and_a_registry_that_is_away_is_asked_again(
    tmp_path: Path, env: dict[str, str]
) -> None:
    nowhere = {"node_modules/nowhere": {"version": "1.0.0", "integrity": "sha512-x"}}
    with pytest.raises(NotToBeHad, match="npm cannot fetch"):
        await fetch_tarballs(Locked(lock_of(**nowhere)), PLATFORM, tmp_path, env)
    away = tmp_path / "away"
    away.mkdir()
    with pytest.raises(IndexDown):
        await fetch_tarballs(
            Locked(lock_of()), PLATFORM, away, env | {"NPM_CONFIG_REGISTRY": "http://127.0.0.1:9"}
        )


def test_only_what_runs_at_the_site_is_wanted() -> None:
    one = partial(dict, version="1.0.0", integrity="sha512-x")
    lock = lock_of(**{
        "node_modules/mac": one(os=["darwin"], optional=True),
        "node_modules/not-linux": one(os=["!linux"]),
        "node_modules/arm": one(cpu=["arm64"]),
        "node_modules/musl": one(libc=["musl"]),
        "node_modules/tests": one(dev=True),
        "node_modules/ours": one(os=["linux"], cpu=["x64"], libc=["glibc"]),
        "node_modules/a/node_modules/aliased": one(name="real"),
    })  # fmt: skip
    assert [package.spec for package in packages(lock, PLATFORM)] == [
        "left-pad@1.0.0", "@shop/inner@1.0.0", "ours@1.0.0", "real@1.0.0",
    ]  # fmt: skip
    assert "arm@1.0.0" in {package.spec for package in packages(lock, "node20-none-aarch64")}


@pytest.mark.parametrize(
    "lock",
    ["", "{}", "{}" + BETWEEN + "[]", lock_of(**{"node_modules/x": {"version": "1 || rm", "integrity": "a"}}),
     lock_of(**{"node_modules/x": {"version": "1.0.0"}}), lock_of(**{"node_modules/x": {"link": True}}),
     lock_of(**{"node_modules/--global": {"version": "1.0.0", "integrity": "a"}})],
)  # fmt: skip
def test_what_is_no_lock_is_refused(lock: str) -> None:
    with pytest.raises(NotToBeHad):
        packages(lock, PLATFORM)


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(NotToBeHad):
        packages(lock_of(), "cp311-glibc_2_36-x86_64")
