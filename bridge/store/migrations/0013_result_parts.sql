-- Parts of large results that agents send over HTTP, until the job has its result.
CREATE TABLE result_part (
  job_id TEXT NOT NULL REFERENCES job (id),
  sha256 TEXT NOT NULL,
  part_index INTEGER NOT NULL,
  part BLOB NOT NULL,
  PRIMARY KEY (job_id, sha256, part_index)
) STRICT, WITHOUT ROWID;
