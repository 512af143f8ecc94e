"""A linear system is solved; the sample deviation of 1 to 10 is the documents' own example."""

import numpy as np

matrix = np.array([[3.0, 1.0], [1.0, 2.0]])
assert np.allclose(np.linalg.solve(matrix, [9.0, 8.0]), [2.0, 3.0])
values = np.arange(1, 11)
assert values.mean() == 5.5
assert round(float(values.std()), 4) == 2.8723
assert np.random.default_rng(7).normal(size=1000).shape == (1000,)
