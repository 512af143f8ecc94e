"""What is known not to hold on an engine that comes with bathysphere, and what it means. Read with docs/gvisor.md."""

from collections.abc import Mapping
from typing import Final

KNOWN: Final[Mapping[str, Mapping[str, str]]] = {
    "gvisor": {
        "proc_of_process_1": (
            "The release of 2022-12-19 lets every program of one user open the descriptors of the others, process 1 "
            "included. A program can thus speak in the guest's place; the host takes what it says as hostile, as ever, "
            "so it can lie about its own result, and end its own sandbox."
        ),
        "named_pipes_outlive_the_sandbox": (
            "gVisor keeps named pipes and sockets in its own memory, not on the container's disk."
        ),
    },
}
"""Engine -> check -> what is not so, and why it is borne."""
