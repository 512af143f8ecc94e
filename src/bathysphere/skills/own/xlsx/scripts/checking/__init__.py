"""What check.py looks for."""
