"""I4: a bundle is named by the job's lock, and its manifest leads nowhere but into its own folder."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.bundles import (
    ARTEFACTS_MAX,
    MANIFEST_MAX_BYTES,
    Artefact,
    Kind,
    Manifest,
    bundle_of,
    family_of,
    is_platform,
    platform_of,
    read_manifest,
    stated,
)
from agent.wire.errors import Malformed

LOCK = "# py: 3.11\nsix==1.16.0"
BUNDLE = bundle_of("python3", LOCK)
PLATFORM = "cp311-glibc_2_36-x86_64"
SIX = Artefact("six-1.16.0-py2.py3-none-any.whl", "ab" * 32, 11_053, Kind.WHEEL)
FACTS = {
    "python": "3.11.7",
    "implementation": "cpython",
    "libc": "glibc 2.36",
    "machine": "x86_64",
    "node": "22.1.0",
}


def changed(**about: Any) -> bytes:
    known = json.loads(Manifest(BUNDLE, PLATFORM, (SIX,)).packed()) | about
    return json.dumps(known).encode()


def test_what_is_packed_is_what_is_read() -> None:
    other = Artefact("left-pad-1.3.0.tgz", "cd" * 32, 0, Kind.TARBALL, "node_modules/left-pad")
    manifest = Manifest(BUNDLE, PLATFORM, (SIX, other))
    assert read_manifest(manifest.packed()) == Manifest(BUNDLE, PLATFORM, (other, SIX))
    assert manifest.packed() == Manifest(BUNDLE, PLATFORM, (other, SIX)).packed()
    assert len(manifest.manifest_id) == 64
    assert stated(manifest.packed()) != manifest.packed()


def test_what_stands_in_two_places_is_fetched_once() -> None:
    again = Artefact("again.tgz", SIX.sha256, SIX.size, Kind.TARBALL, "node_modules/a/node_modules/b")
    assert Manifest(BUNDLE, PLATFORM, (SIX, again)).size == SIX.size


@pytest.mark.parametrize(
    "row",
    [
        ["../six.whl", "ab" * 32, 1, "wheel", ""],
        ["six/six.whl", "ab" * 32, 1, "wheel", ""],
        ["..", "ab" * 32, 1, "wheel", ""],
        ["", "ab" * 32, 1, "wheel", ""],
        ["six.whl", "../" + "a" * 61, 1, "wheel", ""],
        ["six.whl", "AB" * 32, 1, "wheel", ""],
        ["six.whl", "ab" * 32, -1, "wheel", ""],
        ["six.whl", "ab" * 32, True, "wheel", ""],
        ["six.whl", "ab" * 32, 2**40, "wheel", ""],
        ["six.whl", "ab" * 32, 1, "egg", ""],
        ["six.whl", "ab" * 32, 1, "wheel", "../other"],
        ["six.whl", "ab" * 32, 1, "wheel", "/etc"],
        ["six.whl", "ab" * 32, 1, "wheel", "a//b"],
        ["six.whl", "ab" * 32, 1, "wheel"],
        [1, "ab" * 32, 1, "wheel", ""],
        "six",
    ],
)  # fmt: skip
def test_an_artefact_that_leads_elsewhere_is_refused(row: Any) -> None:
    with pytest.raises(Malformed):
        read_manifest(changed(artefacts=[row]))


@pytest.mark.parametrize(
    "packed",
    [
        b"", b"[]", b"{}", b"\xff", b"[" * 100_000,
        changed(bundle="python3"), changed(bundle="../" + BUNDLE), changed(platform="../x"),
        changed(artefacts=[[f"a{n}.whl", "ab" * 32, 1, "wheel", ""] for n in range(ARTEFACTS_MAX + 1)]),
        b" " * (MANIFEST_MAX_BYTES + 1),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(packed: bytes) -> None:
    with pytest.raises(Malformed):
        read_manifest(packed)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_that_comes_is_more_than_refused(packed: bytes) -> None:
    with pytest.raises(Malformed):
        read_manifest(packed)


def test_a_lock_names_its_bundle_and_no_other() -> None:
    assert family_of(BUNDLE) == "python3"
    assert bundle_of("python3", LOCK + "\nidna==3.4") != BUNDLE
    node = 'x\n"node_modules/left-pad": {}'
    assert bundle_of("bun", node) == bundle_of("nativets", node)
    assert family_of(bundle_of("bun", node)) == "node"


@pytest.mark.parametrize("lock", [None, "", "# py: 3.11", "# py: 3.12\n\n", "--index-url somewhere"])
def test_a_lock_that_asks_for_nothing_names_none(lock: str | None) -> None:
    assert bundle_of("python3", lock) == ""


def test_a_language_that_we_carry_nothing_for_names_none() -> None:
    assert bundle_of("go", LOCK) == ""
    assert bundle_of("bun", "{}") == ""


def test_a_platform_is_known_by_what_a_site_says_of_itself() -> None:
    assert platform_of("python3", FACTS) == PLATFORM
    assert platform_of("node", FACTS) == "node22-glibc_2_36-x86_64"
    assert platform_of("python3", FACTS | {"libc": "musl 1.2.5"}) == "cp311-musl_1_2-x86_64"
    assert platform_of("python3", FACTS | {"libc": "", "machine": "arm64"}) == "cp311-none-arm64"
    assert platform_of("python3", FACTS | {"implementation": "pypy"}) == "pp311-glibc_2_36-x86_64"


@pytest.mark.parametrize("missing", ["python", "implementation", "machine"])
def test_a_site_that_does_not_say_it_has_none(missing: str) -> None:
    assert platform_of("python3", FACTS | {missing: ""}) == ""
    assert platform_of("python3", {name: said for name, said in FACTS.items() if name != missing}) == ""


@pytest.mark.parametrize(
    "text", ["", "x", "cp311", "cp311-glibc_2_36", "cp311-glibc_2_36-x/y", "cp311-none-" + "x" * 100]
)
def test_no_other_text_is_a_platform(text: str) -> None:
    assert not is_platform(text)
