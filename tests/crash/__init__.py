"""Processes killed at random while clients work; then everything is compared with what the clients were told.

``python -m tests.crash --kills 300 --clients 20 --seed 1`` runs it in full; ``test_crashes.py`` a short form of it.
"""
