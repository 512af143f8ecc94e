"""What every engine must do, as checks that anybody can run against theirs.

``python -m bathysphere.host.conformance --engine gvisor`` tries the engines that bathysphere comes with. For another
one, give ``run`` an object that is a ``bathysphere.host.engines.base.Engine``:

    async for verdict in run(MyEngine(), image, environment):
        print(verdict.check.name, verdict.failure or "holds")

Each check is an asynchronous function of a ``Subject``; its docstring is the contract that it tries. All of them are
carried out with real sandboxes, through the daemon's own fleet. As root the process takes a mount namespace for
itself, so run it in a process of its own. An engine conforms when no check fails, and nothing is left to its taste:
where ordinary users get less than root does, the contract says so.
"""

from bathysphere.host.conformance.check import CHECKS, Check, Unmet
from bathysphere.host.conformance.subject import Subject
from bathysphere.host.conformance.suite import Verdict, run

__all__ = ["CHECKS", "Check", "Subject", "Unmet", "Verdict", "run"]
