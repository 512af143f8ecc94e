"""Work is shared among processes, which needs /dev/shm; results are stored and loaded."""

import os

import numpy as np
from joblib import Parallel, delayed, dump, load


def square_of(n):
    return n * n, os.getpid()


results = Parallel(n_jobs=2)(delayed(square_of)(n) for n in range(10))
assert [square for square, _ in results] == [n * n for n in range(10)]
assert os.getpid() not in {pid for _, pid in results}
large = np.ones(2_000_000)
assert Parallel(n_jobs=2)(delayed(np.sum)(large) for _ in range(2)) == [2_000_000.0] * 2
dump({"a": large}, "large.joblib", compress=3)
assert load("large.joblib")["a"].sum() == 2_000_000
