"""A worker process for the tests of the queue: claims jobs and prints their keys.

Usage: claimant.py URL WORKER drain|hold. `drain` finishes jobs until none is left; `hold` claims one and hangs.
"""

import sys
import time

from lnlbench.store import ResultRow, open_store

url, worker, what = sys.argv[1:]
with open_store(url) as store:
    while (claim := store.claim(None, worker, 0.5 if what == "hold" else 60, retry_limit=2)) is not None:
        print(claim.job_key, claim.run_uid, flush=True)
        if what == "hold":
            time.sleep(600)
        store.finish(claim.run_uid, "done", ResultRow(90.0, 0, 90.0, 90.0, 1))
