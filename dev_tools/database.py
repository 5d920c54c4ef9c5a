"""Find a PostgreSQL, or start one: in a container where an engine answers, else the machine's own package."""

import os
from collections.abc import Sequence
from typing import Final

from dev_tools.apt import CannotInstall, install, services_stay_down
from dev_tools.broker import CHOICE, BrokerError, NotHere
from dev_tools.databases.container import ContainerDatabase
from dev_tools.databases.node import PrivateDatabase, installed
from dev_tools.databases.server import SETTINGS, DatabaseError, DatabaseServer

__all__ = ["DatabaseError", "DatabaseServer", "find"]

PACKAGE: Final = "postgresql"


def find(settings: Sequence[str] = SETTINGS) -> DatabaseServer:
    """A PostgreSQL that answers; close it. Raises `DatabaseError`, which says what to type.

    ORVANTA_BROKER=container|node insists on one way, as for RabbitMQ.
    """
    choice = os.environ.get(CHOICE, "")
    if choice != "node":
        try:
            return _started(ContainerDatabase(settings))
        except (NotHere, BrokerError) as error:
            if choice == "container":
                raise DatabaseError(str(error)) from error
    return _node(settings)


def _node(settings: Sequence[str]) -> DatabaseServer:
    if installed() is None:
        try:
            with services_stay_down():
                install(PACKAGE)
        except CannotInstall as error:
            raise DatabaseError(str(error)) from error
    programs = installed()
    if programs is None:
        raise DatabaseError(f"{PACKAGE} is installed but its programs were not found")
    return _started(PrivateDatabase(programs, settings))


def _started(server: DatabaseServer) -> DatabaseServer:
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
