"""``python -m bathysphere``."""

from bathysphere.cli import main

main()
