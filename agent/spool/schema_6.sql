-- What scripts remember from one run to the next. `since`: when the job that set it was handed out.
CREATE TABLE script_state (
  id INTEGER PRIMARY KEY,
  workspace TEXT NOT NULL,
  path TEXT NOT NULL,
  value TEXT NOT NULL,             -- JSON; sealed like all other content
  job_id TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  since REAL NOT NULL,
  UNIQUE (workspace, path)
);

CREATE INDEX script_state_job ON script_state (job_id, attempt);

CREATE INDEX script_state_since ON script_state (since);
