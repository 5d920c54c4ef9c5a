-- Which of the bridges leads: one row, for ever. `epoch` counts the terms; a write that belongs to an earlier one is
-- refused. `session` and `session_since` name the leader's connection, which ends with its process.
CREATE TABLE leader (
  epoch BIGINT NOT NULL,
  holder TEXT NOT NULL,
  until TIMESTAMPTZ NOT NULL,
  session INTEGER NOT NULL,
  session_since TIMESTAMPTZ
);
CREATE UNIQUE INDEX leader_is_one ON leader ((true));
INSERT INTO leader (epoch, holder, until, session) VALUES (0, '', '-infinity', 0);
