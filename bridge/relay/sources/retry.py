"""Every retry policy of the calls to a cluster, by name.

`pull_job`, a job's ping and log text have none. A pull or a chunk whose answer was lost may have been taken;
`HTTPSource` keeps the first and settles the second before either is sent again. The next round of pings is
the retry of a ping. A Retry-After binds all calls, so it stands where they all come by (bridge/upstream.py).
"""

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from bridge.errors import AnswerLost, NotTaken


def soon_again() -> AsyncRetrying:
    """For calls that may come twice: three tries within some 3 s, full jitter, so that one broken connection
    costs nothing. Whoever asks for more than that comes again by himself.
    """
    return AsyncRetrying(
        retry=retry_if_exception_type((NotTaken, AnswerLost)),
        wait=wait_random_exponential(multiplier=0.5, max=2),
        stop=stop_after_attempt(3),
        reraise=True,
    )
