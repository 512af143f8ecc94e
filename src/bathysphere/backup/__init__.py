"""Backups of a whole data directory, taken while a server works, and their restoring."""
