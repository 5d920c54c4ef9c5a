-- seen.at counts from now on in seconds that the agent has run, not by a wall clock, which may be wrong by years.
UPDATE seen SET at = 0;
