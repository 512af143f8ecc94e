"""Hostile programs, as data: each ``*.toml`` is a group of them, with the denial that each must meet."""
