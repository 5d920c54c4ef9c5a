-- From whom an attempt was taken that it had over HTTP: of those that a refused token may still offer a result of.
CREATE TABLE former_worker (
  job_id TEXT COLLATE "C" NOT NULL,
  attempt BIGINT NOT NULL,
  worker TEXT COLLATE "C" NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  distrusted BIGINT NOT NULL DEFAULT 0,  -- its token was revoked: what it still brings is not believed
  PRIMARY KEY (job_id, attempt)
);
CREATE INDEX former_worker_at ON former_worker (at);
CREATE INDEX former_worker_name ON former_worker (worker);

ALTER TABLE quarantined_result ADD COLUMN link TEXT COLLATE "C" NOT NULL DEFAULT 'amqp';  -- amqp, http: by which it came
ALTER TABLE quarantined_result ADD COLUMN wish TEXT COLLATE "C";    -- accept, reject: of the command line, not carried out yet
ALTER TABLE quarantined_result ADD COLUMN refusal TEXT COLLATE "C"; -- why the last wish could not be carried out
CREATE INDEX quarantined_result_worker ON quarantined_result (worker) WHERE decision IS NULL;
CREATE INDEX quarantined_result_wish ON quarantined_result (job_id) WHERE wish IS NOT NULL;
