-- What may travel with a job to its site, sealed for the site's device.
ALTER TABLE variable ADD COLUMN offline BIGINT NOT NULL DEFAULT 0;
ALTER TABLE resource ADD COLUMN offline BIGINT NOT NULL DEFAULT 0;

-- Of a state: when the job that set it was handed out; NULL: not set by a job's result.
ALTER TABLE resource ADD COLUMN state_since DOUBLE PRECISION;
