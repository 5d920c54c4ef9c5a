"""For HEALTHCHECK: exit code 0 when the bridge in this container works (docs/watching.md)."""

import os
import ssl
import urllib.request

secure = bool(os.environ.get("TLS_CERT_FILE"))
where = f"{'https' if secure else 'http'}://127.0.0.1:{os.environ.get('BRIDGE_PORT', '8000')}/livez"
# Its certificate is for the name that sites use, and this is not the place to judge it: we ask ourselves.
context = ssl._create_unverified_context() if secure else None  # noqa: S323, SLF001 see above
direct = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
)
with direct.open(where, timeout=4):
    pass
