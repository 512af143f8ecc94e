"""Disks: what of a container lasts."""
