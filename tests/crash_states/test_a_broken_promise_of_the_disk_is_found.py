"""The judge can fail: each way to write a little less carefully is seen in some state (I3)."""

import re

import pytest

from tests.crash_states.enumeration import enumerate_states
from tests.crash_states.recorder import record
from tests.crash_states.sabotage import SABOTAGES

SEEN = {
    "database_unsynced": "wanted Held.* and found None",
    "commits_unsynced": "wanted Held.* and found None",
    "documents_unsynced": "it was .* and is ",
    "folders_unsynced": "document: wanted b.* and found None",
    "row_before_document": "document: wanted b.* and found None",
    "state_before_result": "wanted 'started' and found 'finished'$",
}


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("sabotage", sorted(SABOTAGES))
def test_what_is_confirmed_too_early_is_seen_missing(sabotage: str) -> None:
    findings = enumerate_states("spool", 1, record("spool", 1, sabotage), until=SEEN[sabotage])
    assert any(re.search(SEEN[sabotage], violation) for violation in findings.violations), findings.violations
