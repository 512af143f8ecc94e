"""``bathysphere host``: run the host daemon. Its configuration comes as JSON over standard input.

People don't call it: ``serve`` starts the daemon when none answers.
"""

from __future__ import annotations

import click

from bathysphere.host.__main__ import main


@click.command(hidden=True)
def host() -> None:
    """Run the host daemon (started by `serve`)."""
    main()
