"""What no code says of itself in a sentence: settings and error names. All that the code has is here."""

from typing import Final

SETTINGS: Final = {
    "ADMIN_PASSWORD_FILE": "the first admin's password (generated, and printed once)",
    "ADMISSIONS_PER_S": "agents let in in a second when a fleet comes back at once; the rest are told "
    "their turn",
    "AGENT_TOKEN": "agent: the site's token, `jwt_agent_…`. Relay: its own at the upstream cluster, or "
    "several "
    "with commas between; a tag is in one of them only",
    "AGENT_TOKEN_FILE": "the same from a file that not everybody may read; or systemd's credential "
    "`agent_token`",
    "ALL_PROXY": "as `HTTPS_PROXY`, where that is not set",
    "AMQP_PASSWORD": "the password of `AMQP_URL` and `MANAGEMENT_URL`, where these name a user only",
    "AMQP_PASSWORD_FILE": "the same from a file, or systemd's credential `amqp_password`",
    "AMQP_URL": "RabbitMQ, `amqp://user:password@host:5672/` (none: agents link over HTTP); a relay needs it",
    "AMQP_URL_FILE": "the same from a file, or systemd's credential `amqp_url`",
    "BASE_INTERNAL_URL": "agent: the address of the bridge, or of any Orvanta. Relay: of the upstream "
    "cluster",
    "BASE_URL": "the cluster's address as sites, people and RabbitMQ reach it (as listened; a relay: "
    "the upstream's)",
    "BASH_PATH": "the bash of jobs (found on `PATH`)",
    "BRIDGE_HOST": "the address to listen on",
    "BRIDGE_PORT": "the port to listen on",
    "BRIDGE_STORE": "the SQLite file of the store; beside it `….key`, the key of its secrets. Back up both",
    "BROKER_AUTH": "`static` for a RabbitMQ that cannot ask the bridge ([security.md](../security.md)) "
    "(`bridge`)",
    "BROKER_NODES": "nodes of your RabbitMQ; on several the queues are replicated",
    "BUNDLES_MB": "most that is kept of what jobs import (agent 1024, never more than half of "
    "`SPOOL_QUOTA_MB`; "
    "bridge 4096, and with 0 agents are sent none). [bundles.md](../bundles.md)",
    "BUN_PATH": "the bun of jobs (found on `PATH`)",
    "CA_FILE": "PEM of the CAs to believe, instead of the system's store. [tls.md](../tls.md)",
    "CLIENT_CERT_FILE": "a certificate to show to servers that want one",
    "CLIENT_KEY_FILE": "its key, without a passphrase",
    "CREDENTIALS_DIRECTORY": "set by systemd: where `LoadCredential=` has put the secrets",
    "CUSTOM_TAGS": "tags that only some workspaces may use: `gpu(lab+ship),pos(^lab)`",
    "DATABASE_PASSWORD_FILE": "the password of `DATABASE_URL` (in the address)",
    "DATABASE_POOL": "connections to PostgreSQL, at most",
    "DATABASE_URL": "PostgreSQL, `postgresql://user:password@host/orvanta`, instead of `BRIDGE_STORE`. "
    "[store.md](../store.md)",
    "DEFAULT_TAGS_PER_WORKSPACE": "workspaces, or `*`, where a job that names no tag gets "
    "`<language>-<workspace>`",
    "DENO_PATH": "the deno of jobs (found on `PATH`)",
    "HTTPS_PROXY": "an HTTP proxy for `https://` and `amqps://`",
    "HTTP_PROXY": "for jobs at a site; agent and bridge go to `http://` and `amqp://` without one",
    "INIT_SCRIPT": "text of a script that a site runs once, before its first job. "
    "[executor.md](../executor.md)",
    "JOB_CGROUP": "a cgroup v2 folder below which each job gets a group (the delegated one)",
    "LANGUAGES_FILE": "other languages of this site, a line each. [languages.md](../languages.md)",
    "LOST_AFTER_S": "seconds that a silent agent keeps its jobs",
    "MANAGEMENT_URL": "`http://user:password@host:15672` of RabbitMQ, to close the links of revoked agents "
    "(none: they stay)",
    "METRICS_PER_WORKER": "`1`: `/metrics` has series for each agent. [watching.md](../watching.md)",
    "METRICS_TOKEN": "opens `/metrics` to Prometheus, 16 characters at least (a superadmin's token "
    "alone does)",
    "METRICS_TOKEN_FILE": "the same from a file, or systemd's credential `metrics_token`",
    "MODE": "`agent`, or left out",
    "NODE_BIN": "the node of jobs (found on `PATH`)",
    "NOTIFY_SOCKET": "set by systemd: where it hears that we are ready",
    "NO_PROXY": "hosts that need no proxy",
    "PERIODIC_BASH_SCRIPT": "text of a script that a site runs again and again, beside its jobs",
    "PERIODIC_BASH_SCRIPT_INTERVAL_SECONDS": "every so many seconds, 60 at least; both or neither",
    "POWERSHELL_PATH": "the PowerShell of jobs (found on `PATH`)",
    "PUBLIC_AMQP_URL": "where agents find RabbitMQ (`AMQP_URL`); `{host}` is the host by which they "
    "reached the bridge",
    "PUBLIC_AMQP_URL_FILE": "the same from a file, or systemd's credential `public_amqp_url`",
    "PYTHON_PATH": "the Python of jobs (found on `PATH`)",
    "READY_MAX": "jobs of a tag that may wait in RabbitMQ; the rest wait in the cluster",
    "SPOOL_FLOOR_MB": "free disk below which nothing new is taken (16)",
    "SPOOL_KEY_FILE": "32 bytes or 64 hexadecimal digits that seal the spool; or systemd's credential "
    "`spool_key`. "
    "[securing-a-site.md](../securing-a-site.md)",
    "SPOOL_LOG_MB": "log text kept in all until it is sent; beyond it a gap is marked (64, or a quarter "
    "of the quota)",
    "SPOOL_QUOTA_MB": "most that the spool may use (no bound)",
    "SSL_CERT_DIR": "where the system's store of CAs is, if not where OpenSSL looks",
    "SSL_CERT_FILE": "the same, as one file",
    "STORE_KEY_FILE": "with `DATABASE_URL`: the key of the store's secrets, the same file at each bridge",
    "TAG_POLICIES": 'JSON, by tag pattern: `{"pos-*": {"delivery": "at_most_once", "lost_after_s": 3600, '
    '"replace": "never"}}`',
    "TLS_CERT_FILE": "the certificate with its chain, to serve HTTPS with (none: HTTP)",
    "TLS_KEY_FILE": "its key",
    "WORKER_DIR": "where the normal worker's scripts have their directories (beside the key of the store)",
    "WORKER_GROUP": "the normal worker's group, in its name and on the Workers page (`default`)",
    "ZOMBIE_JOB_TIMEOUT": "seconds of silence after which a worker that is no agent of ours loses its job",
    "WATCHDOG_PID": "set by systemd: whom its watchdog is for",
    "WATCHDOG_USEC": "set by systemd: how often it wants to hear that we live",
}

ERRORS: Final = {
    "BadArguments": "the arguments are no JSON object; it was not run",
    "BadEnvironment": "a variable of the job's environment cannot be set; it was not run",
    "BadJobId": "the job's id cannot be the name of a directory; it was not run",
    "BadResult": "what it left as its result is not JSON, or it ended before there was one",
    "BadScript": "the script or its arguments are no Unicode text; it was not run",
    "Canceled": "somebody cancelled it, before it started or while it ran; `canceler` and `reason` say more",
    "CustodianLost": "its holder was silent for longer than `lost_after`, or had its token taken away, "
    "and the job "
    "may not run again",
    "DependenciesMissing": "what it imports cannot be had at this site; the message names it. It was not run",
    "EarlyStopError": "a flow's `stop_after_if` held, and its author calls that an error",
    "ExecutionErr": "the program's own failure: an exit code, a signal, a time limit",
    "Expired": "its `not_after` passed before it was started; it was not run",
    "FolderLimit": "it filled its directory beyond `folder_mb`",
    "InternalError": "a flow, or a normal worker, met what its author or we have to mend; the message "
    "says which",
    "InterpreterMissing": "bash, python3 or node is not on the machine; it was not run",
    "Interrupted": "the agent stopped while it ran, and `at_most_once` forbids a second start",
    "JobDirectoryFailed": "its directory cannot be made at the site; it was not run",
    "LockFailed": "what a script imports could not be resolved",
    "LoopDeadline": "the `deadline_s` of a loop or of branches passed",
    "Malformed": "the cluster handed out something that is no job; it was not run",
    "MemoryLimit": "it used more memory than `memory_mb`",
    "MultipleErrors": "several branches or iterations of a flow failed; `errors` has each",
    "NotAllowed": "the site's policy does not allow it; it was not run",
    "NotForAgents": "a flow or dependency job came to an agent; it was not run",
    "NotForThisTag": "a script came to a normal worker by a tag that is not for scripts; it was not run",
    "NotFound": "a variable, resource or script that its arguments name is not there; it was not run",
    "NotStarted": "its process could not be started",
    "OutputLimit": "it printed 64 times as much as the log keeps",
    "Poison": "it stopped its host again and again (`max_interruptions`); it is not run again",
    "PreRunError": "the cluster says that it cannot be run",
    "ProcessLimit": "it started more processes and threads than `processes`",
    "Rejected": "agents refused it again and again; the message has the reason",
    "ResultTooLarge": "its result is larger than `result_mb`",
    "SuspendedDisapproved": "somebody refused the approval that a flow waited for",
    "SuspendedTimedOut": "nobody approved a flow's step in time",
    "Timeout": "its worker was silent again and again, and it is not started once more",
    "UnknownError": "a step of a flow failed and left no error",
    "UnknownKind": "a normal worker got a kind of job that it does not know",
    "UnknownLanguage": "the agent does not run this language; it was not run",
    "Unsendable": "it cannot travel to an agent as it is; the message says why. It was not run",
}
