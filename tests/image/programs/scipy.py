"""Minimise, integrate, and test a hypothesis."""

import numpy as np
from scipy import integrate, optimize, stats

assert np.allclose(optimize.minimize(lambda x: (x[0] - 3) ** 2 + (x[1] + 1) ** 2, [0, 0]).x, [3, -1], atol=1e-4)
area, _ = integrate.quad(np.sin, 0, np.pi)
assert abs(area - 2) < 1e-9
assert stats.ttest_ind([1, 2, 3, 4], [11, 12, 13, 14]).pvalue < 0.001
