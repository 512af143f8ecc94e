"""An equation is solved, an integral found, a limit taken; a formula becomes a number function."""

import sympy as sp

x = sp.symbols("x")
assert sp.solve(x**2 - 5 * x + 6) == [2, 3]
assert sp.integrate(sp.exp(-(x**2)), (x, -sp.oo, sp.oo)) == sp.sqrt(sp.pi)
assert sp.limit(sp.sin(x) / x, x, 0) == 1
assert sp.lambdify(x, sp.diff(x**3), "numpy")(2.0) == 12.0
