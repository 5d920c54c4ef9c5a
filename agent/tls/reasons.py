"""Why a connection did not come about, in one line with its mend: the failures that people really meet.

What the TLS library says names neither the server nor the dates, and where a server hangs up at once its
word is often lost on the way. So the server is asked once more, with nothing to say to it.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agent.tls.dial import Place, ProxyRefused, Stream, dial
from agent.tls.outbound import Outbound

if TYPE_CHECKING:
    from cryptography import x509

ASK_S: Final = 3.0
NAMES_MAX: Final = 5
SECURE: Final = {"http": "https", "amqp": "amqps"}

# X509_V_ERR_… of OpenSSL
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
UNKNOWN_CA: Final = (2, 18, 19, 20, 21)
WRONG_NAME: Final = (62, 64)

NO_TLS_THERE: Final = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST",
                       "RECORD_LAYER_FAILURE")  # fmt: skip
WANTS_CERTIFICATE: Final = ("ALERT_CERTIFICATE_REQUIRED", "ALERT_HANDSHAKE_FAILURE")
REFUSES_CERTIFICATE: Final = ("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_EXPIRED",
                              "ALERT_CERTIFICATE_REVOKED", "ALERT_CERTIFICATE_UNKNOWN",
                              "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_ACCESS_DENIED")  # fmt: skip
NOT_REACHED: Final = (ConnectionRefusedError, socket.gaierror, TimeoutError)


async def why(error: BaseException, url: str, outbound: Outbound) -> str | None:
    """What is wrong with `url`, which could not be connected to, and the mend. None: it is no matter of TLS.

    Asks the server again where its own word was lost; takes `ASK_S` at most, twice.
    """
    place = Place.of(url)
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ProxyRefused):
            return str(cause)
    found = tls_error(error)
    if found is None and any(isinstance(cause, NOT_REACHED) for cause in causes):
        return None
    if place.scheme in SECURE:
        return await _of_a_plain(place, outbound)
    found = found or await _asked_again(place, outbound)
    return None if found is None else await _of_tls(found, place, outbound)


def tls_error(error: BaseException) -> ssl.SSLError | None:
    return next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what led to it. The broker's client makes circles of them."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


async def _of_a_plain(place: Place, outbound: Outbound) -> str | None:
    if await _shown(place, outbound) is None:
        return None
    return f"{place} speaks TLS; its address must begin with {SECURE[place.scheme]}://, not {place.scheme}://"


async def _of_tls(error: ssl.SSLError, place: Place, outbound: Outbound) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error, place, await _shown(place, outbound), datetime.now(UTC))
    said = error.reason or str(error)
    if said in NO_TLS_THERE:
        return f"{place} speaks no TLS; give the port where it does ({place.scheme}://), or turn TLS on there"
    if said.endswith(WANTS_CERTIFICATE) and outbound.cert_file is None:
        return (
            f"{place} ended the TLS handshake ({_words(said)}): it wants a client certificate; "
            "set CLIENT_CERT_FILE and CLIENT_KEY_FILE"
        )
    if said.endswith(REFUSES_CERTIFICATE + WANTS_CERTIFICATE):
        return (
            f"{place} refuses our client certificate ({_words(said)}); have CLIENT_CERT_FILE issued anew, "
            "by a CA that it trusts"
        )
    return f"TLS with {place} failed: {_words(said)}"


def _of_certificate(
    error: ssl.SSLCertVerificationError, place: Place, shown: "x509.Certificate | None", now: datetime
) -> str:
    """`shown`: what the server shows, unchecked; it serves for this text and for nothing else."""
    code = error.verify_code
    if code in UNKNOWN_CA:
        issuer = "" if shown is None else f" ({shown.issuer.rfc4514_string()})"
        return (
            f"the certificate of {place} is of a CA that is not trusted here{issuer}; "
            "set CA_FILE to the file of that CA's certificate"
        )
    if code in WRONG_NAME:
        return (
            f"the certificate of {place} is not for {place.host}{_for_names(shown)}; use a name that it "
            "has, or have it issued for this one"
        )
    if code == NOT_YET_VALID:
        begins = "" if shown is None else f", {_date(shown.not_valid_before_utc)}"
        return (
            f"the clock of this device is at {_date(now)}, before the notBefore of the certificate of "
            f"{place}{begins}; set the clock (NTP)"
        )
    if code == EXPIRED:
        ends = "" if shown is None else f" on {_date(shown.not_valid_after_utc)}"
        return (
            f"the certificate of {place} expired{ends}, and the clock of this device is at {_date(now)}; "
            "renew the certificate, or set the clock if that is wrong"
        )
    return f"the certificate of {place} does not hold: {error.verify_message}"


async def _asked_again(place: Place, outbound: Outbound) -> ssl.SSLError | None:
    """What it says to a client that says nothing: then an alert after the handshake is not lost."""
    try:
        async with _open(place, outbound.context(), outbound) as (reader, _), asyncio.timeout(ASK_S):
            await reader.read(1)
    except ssl.SSLError as error:
        return error
    except OSError:  # TimeoutError is one: it waits for us to speak, as it should
        return None
    return None


async def _shown(place: Place, outbound: Outbound) -> "x509.Certificate | None":
    """The certificate that a server shows, unchecked: nothing is sent to it, and nothing is believed."""
    from cryptography import x509  # noqa: PLC0415 only for bad days

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with _open(place, context, outbound) as (_, writer):
            return x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(True))
    except (OSError, ValueError):
        return None


@asynccontextmanager
async def _open(place: Place, context: ssl.SSLContext, outbound: Outbound) -> AsyncIterator[Stream]:
    async with asyncio.timeout(ASK_S):
        reader, writer = await dial(place, context, outbound)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def _for_names(shown: "x509.Certificate | None") -> str:
    from cryptography import x509  # noqa: PLC0415 see above

    if shown is None:
        return ""
    try:
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return " (it names none)"
    return f" but for {', '.join(str(one.value) for one in list(names)[:NAMES_MAX])}"


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower()
