"""Fifty digits of pi."""

from mpmath import mp, zeta

mp.dps = 50
assert str(mp.pi).startswith("3.1415926535897932384626433832795028841971693993751")
assert abs(zeta(2) - mp.pi**2 / 6) < mp.mpf(10) ** -48
