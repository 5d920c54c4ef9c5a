"""Which distribution a Python module comes from, where the two names differ.

Only what is common and beyond doubt: a project's own documentation says to install the one and to import
the other. For all else the name is the module's, with `-` for `_`; a script names itself what is in neither.
"""

import sys
from collections.abc import Mapping
from typing import Final

DISTRIBUTIONS: Final[Mapping[str, str]] = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python-headless",  # there is no display where jobs run
    "dateutil": "python-dateutil",
    "discord": "discord.py",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "github": "PyGithub",
    "gitlab": "python-gitlab",
    "googleapiclient": "google-api-python-client",
    "grpc": "grpcio",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "kafka": "kafka-python",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "markdown": "Markdown",
    "multipart": "python-multipart",
    "MySQLdb": "mysqlclient",
    "nacl": "PyNaCl",
    "OpenSSL": "pyOpenSSL",
    "paho": "paho-mqtt",
    "PIL": "Pillow",
    "pkg_resources": "setuptools",
    "pptx": "python-pptx",
    "psycopg": "psycopg[binary]",  # libpq within it: a site need not have one
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "snowflake": "snowflake-connector-python",
    "socks": "PySocks",
    "telegram": "python-telegram-bot",
    "umap": "umap-learn",
    "usb": "pyusb",
    "websocket": "websocket-client",
    "win32api": "pywin32",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
# A package that many distributions share: the second name says which.
SHARED: Final[Mapping[str, str]] = {
    "google.api_core": "google-api-core",
    "google.auth": "google-auth",
    "google.cloud.pubsub_v1": "google-cloud-pubsub",
    "google.oauth2": "google-auth",
    "google.protobuf": "protobuf",
    "azure.identity": "azure-identity",
    "azure.storage.blob": "azure-storage-blob",
    "ruamel.yaml": "ruamel.yaml",
}
GONE: Final = frozenset({  # of the standard library until 3.12 or 3.13: none of these is to be installed
    "aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils", "imghdr",
    "imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd", "sndhdr",
    "spwd", "sunau", "telnetlib", "uu", "xdrlib",
})  # fmt: skip


def is_standard(module: str) -> bool:
    """Whether every Python has this top-level module."""
    return module in sys.stdlib_module_names or module in GONE


def distribution_of(module: str) -> str:
    """What to install for a module of this dotted name, which is not of the standard library."""
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        if (shared := SHARED.get(".".join(parts[:length]))) is not None:
            return shared
    if parts[:2] == ["google", "cloud"] and len(parts) > 2:  # noqa: PLR2004 its name begins behind those
        return f"google-cloud-{parts[2].replace('_', '-')}"
    return DISTRIBUTIONS.get(parts[0], parts[0].replace("_", "-"))
