"""Values that a job takes along open by the key of a device that they were sealed for, and by no other."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from agent import sealed_values
from agent.sealed_values import Sealed, seal, unseal
from agent.trust import SigningKey
from agent.wire.claims import JobId

JOB = JobId("0190-job")
VALUES = {"$var:f/shop/key": "s3cr3t", "$res:f/shop/db": {"port": 5432, "name": "Suva, été"}}


def test_each_of_its_devices_opens_it() -> None:
    devices = [SigningKey.made() for _ in range(3)]
    sealed = seal(JOB, VALUES, {one.kid: one.public for one in devices})
    assert b"s3cr3t" not in sealed.values
    for one in devices:
        assert unseal(JOB, sealed, one.kid, one.raw) == VALUES


def test_no_other_device_does_and_not_for_another_job() -> None:
    device, other = SigningKey.made(), SigningKey.made()
    sealed = seal(JOB, VALUES, {device.kid: device.public})
    assert unseal(JOB, sealed, other.kid, other.raw) is None
    assert unseal(JOB, sealed, device.kid, other.raw) is None
    assert unseal(JobId("0191-job"), sealed, device.kid, device.raw) is None


def test_what_was_changed_does_not_open() -> None:
    device = SigningKey.made()
    sealed = seal(JOB, VALUES, {device.kid: device.public})
    for at in (0, len(sealed.values) // 2, len(sealed.values) - 1):
        bent = bytearray(sealed.values)
        bent[at] ^= 1
        assert unseal(JOB, Sealed(bytes(bent), sealed.for_devices), device.kid, device.raw) is None
    key = sealed.for_devices[device.kid]
    for wrong in (key[:-8] + "AAAAAAAA", "not base64", ""):
        assert unseal(JOB, Sealed(sealed.values, {device.kid: wrong}), device.kid, device.raw) is None


def test_both_forms_of_a_devices_key_are_one_key() -> None:
    """What RFC 7748 and RFC 8032 say of each other: the public forms come from the same secret number."""
    for _ in range(20):
        device = SigningKey.made()
        secret = sealed_values.hashlib.sha512(device.raw).digest()[:32]
        expected = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        assert sealed_values._curve_point(device.public) == expected
