"""Error objects of the contract (agent-api.md section 7), and the exception that carries one."""

import json


class JobFailed(Exception):
    """The job ends here as a failure with this name and message. Never leaves `Executor.run`.

    BadJobId · BadArguments · BadScript · BadEnvironment · UnknownLanguage · InterpreterMissing ·
    JobDirectoryFailed · NotStarted · BadResult · ResultTooLarge
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def error_object(message: str, name: str = "ExecutionErr", **more: str | int | None) -> bytes:
    """One JSON document. Of `more`, what is None or empty is left out."""
    known = {key: value for key, value in more.items() if value is not None and value != ""}
    return json.dumps({"message": message, "name": name, **known}).encode()
