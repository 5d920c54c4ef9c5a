-- Whether `script_path` names a flow.
ALTER TABLE schedule ADD COLUMN is_flow INTEGER NOT NULL DEFAULT 0;
