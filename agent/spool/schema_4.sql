-- What is over is found through these, so that neither memory nor a start grows with what is kept.
ALTER TABLE held ADD COLUMN parts_left INTEGER NOT NULL DEFAULT -1;  -- parts of a large document that the
  -- broker has not confirmed; -1: nobody has counted them (a release without this column kept the result)

CREATE INDEX held_open ON held (held_at) WHERE state NOT IN ('finished', 'sent') OR accepted_sent = 0;

CREATE INDEX held_finished ON held (-coalesce(priority, 0), held_at, finished_at)
 WHERE state = 'finished' AND parts_left <= 0;

CREATE INDEX held_blobs ON held (-coalesce(priority, 0), held_at, finished_at)
 WHERE state = 'finished' AND parts_left > 0;

CREATE INDEX held_sent ON held (finished_at) WHERE state = 'sent';

CREATE INDEX quarantine_key ON quarantine (job_id, attempt);
