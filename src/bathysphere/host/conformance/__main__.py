"""``python -m bathysphere.host.conformance``: try an engine; a table, and exit code 1 when a check fails.

``holds``, ``FAILS``, or ``known`` for what is documented not to hold on this engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from bathysphere.host.conformance.check import CHECKS, Check
from bathysphere.host.conformance.deviations import KNOWN
from bathysphere.host.conformance.ordinary_user import become
from bathysphere.host.conformance.suite import run
from bathysphere.host.engines.base import Engine
from bathysphere.host.engines.bubblewrap import Bubblewrap
from bathysphere.host.engines.gvisor import Gvisor
from bathysphere.host.ground import GroundError
from bathysphere.image.definition import Definition
from bathysphere.image.image import find

_ENGINES: dict[str, type[Engine]] = {"bubblewrap": Bubblewrap, "gvisor": Gvisor}


async def _all(engine: Engine, image: Path, environment: dict[str, str], checks: list[Check], as_json: bool) -> bool:
    held = True
    async for verdict in run(engine, image, environment, checks):
        check = verdict.check
        known = KNOWN.get(engine.name, {}).get(check.name, "")
        held = held and (not verdict.failure or bool(known))
        if as_json:
            line = {
                "group": check.group,
                "name": check.name,
                "contract": check.contract,
                "failure": verdict.failure,
                "known": known,
            }
            print(json.dumps(line), flush=True)
        else:
            mark = "holds" if not verdict.failure else "known" if known else "FAILS"
            print(f"{mark}  {check.group:<10} {check.name.replace('_', ' ')}", flush=True)
            if verdict.failure:
                print(f"       {check.contract}\n       seen: {verdict.failure}\n       {known}", flush=True)
    return held


def main() -> None:
    """Read the arguments, try, tell."""
    arguments = argparse.ArgumentParser(prog="python -m bathysphere.host.conformance", description=__doc__)
    arguments.add_argument("--engine", choices=sorted(_ENGINES), default="bubblewrap")
    arguments.add_argument("--image", type=Path, help="root of a container image; default: the one that is built")
    arguments.add_argument("--json", action="store_true", help="a line of JSON per check")
    arguments.add_argument("--uid", type=int, help="as root: become this ordinary user first")
    arguments.add_argument("names", nargs="*", metavar="CHECK", help="these checks only, e.g. no_network")
    chosen = arguments.parse_args()
    if unknown := set(chosen.names) - {check.name for check in CHECKS}:
        arguments.error(f"there is no check {', '.join(sorted(unknown))}")
    checks = [check for check in CHECKS if not chosen.names or check.name in chosen.names]
    found = None if chosen.image else find()
    image = chosen.image or (found.root if found else None)
    if image is None:
        sys.exit("There is no container image. Build it: bathysphere image build")
    environment = Definition.load().environment
    if chosen.uid is not None and os.geteuid() == 0:
        become(chosen.uid)
    try:
        held = asyncio.run(_all(_ENGINES[chosen.engine](), image.resolve(), environment, checks, chosen.json))
    except GroundError as error:
        sys.exit(str(error))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
