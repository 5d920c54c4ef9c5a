"""The judge can fail: each way to write a little less carefully is seen in some state (I3)."""

import re
from itertools import chain

import pytest

from tests.crash_states.enumeration import enumerate_states
from tests.crash_states.recorder import record
from tests.crash_states.sabotage import SABOTAGES
from tests.crash_states.second_cut import enumerate_second_cuts

SEEN = {
    "database_unsynced": "wanted Held.* and found None",
    "commits_unsynced": "wanted Held.* and found None",
    "documents_unsynced": "it was .* and is ",
    "folders_unsynced": "document: wanted b.* and found None",
    "row_before_document": "document: wanted b.* and found None",
    "state_before_result": "wanted 'started' and found 'finished'$",
}
SEEN_AFTER_A_SECOND_CUT = {
    "database_unsynced": "a power cut was taken for damage",
    "set_aside_unmarked": "a damaged page, .* wanted .* and found None",
}


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("sabotage", sorted(SEEN))
def test_what_is_confirmed_too_early_is_seen_missing(sabotage: str) -> None:
    findings = enumerate_states("spool", 1, record("spool", 1, sabotage), until=SEEN[sabotage])
    assert any(re.search(SEEN[sabotage], violation) for violation in findings.violations), findings.violations


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("sabotage", sorted(SEEN_AFTER_A_SECOND_CUT))
def test_a_start_that_is_less_careful_is_seen_when_it_is_cut_off(sabotage: str) -> None:
    tallies = enumerate_second_cuts("spool", 1, record("spool", 1), 1, every=8, sabotage=sabotage)
    flaws = list(chain.from_iterable(tally.flaws for tally in tallies))
    assert any(re.search(SEEN_AFTER_A_SECOND_CUT[sabotage], flaw) for flaw in flaws), flaws


def test_each_sabotage_is_tried() -> None:
    assert SABOTAGES.keys() == SEEN.keys() | SEEN_AFTER_A_SECOND_CUT.keys()
