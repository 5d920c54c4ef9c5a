-- Whether `script_path` names a flow.
ALTER TABLE schedule ADD COLUMN is_flow BIGINT NOT NULL DEFAULT 0;
