"""Ordinary least squares, by matrix and by formula, finds the line that was drawn."""

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf

x = np.linspace(0, 10, 50)
y = 2.5 * x + 1 + np.random.default_rng(0).normal(scale=0.1, size=50)
fit = sm.OLS(y, sm.add_constant(x)).fit()
assert np.allclose(fit.params, [1, 2.5], atol=0.1)
assert "R-squared" in str(fit.summary())
assert abs(smf.ols("y ~ x", pd.DataFrame({"x": x, "y": y})).fit().params["x"] - 2.5) < 0.1
