"""The filter of system calls: the policy as a program for the kernel, in the form that bubblewrap takes.

A seccomp program is a list of instructions for the classic Berkeley packet filter's machine, which can load a
word of the call (its number, ABI, arguments), compare, and jump forwards. See seccomp(2).
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from errno import ENOSYS, EPERM
from functools import cache

from bathysphere.host.syscall_policy import Policy, Rule, Test

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

ABI_X86_64 = 0xC000003E
_X32 = 0x40000000
"""Numbers of the x32 ABI have this bit; those of x86-64 stay far below."""

_LOAD, _AND, _RETURN, _JUMP, _IF_EQUAL, _IF_AT_LEAST = 0x20, 0x54, 0x06, 0x05, 0x15, 0x35
_NUMBER, _ABI, _ARGUMENTS = 0, 4, 16
_MOST_INSTRUCTIONS = 4096

_ANSWERS = {"allow": ALLOW, "EPERM": _ERRNO | EPERM, "ENOSYS": _ERRNO | ENOSYS, "nothing": _ERRNO | 0}

_UNKNOWN = Rule("ENOSYS")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One step. ``yes`` and ``no``: how many instructions a comparison skips."""

    code: int
    value: int
    yes: int = 0
    no: int = 0


Program = list[Instruction]


def assemble(rules: Mapping[int, Rule]) -> Program:
    """The program for rules by call number; a number without one is answered with ENOSYS.

    Only calls of x86-64's own ABI get that far. Any other ends the process, for its numbers mean other calls.
    """
    starts = sorted({0, *rules, *(number + 1 for number in rules)})
    # Neighbours with the same rule make one range.
    ranges: list[tuple[int, Rule]] = []
    for start in starts:
        rule = rules.get(start, _UNKNOWN)
        if not ranges or ranges[-1][1] != rule:
            ranges.append((start, rule))
    program = [
        Instruction(_LOAD, _ABI),
        Instruction(_IF_EQUAL, ABI_X86_64, yes=1),
        Instruction(_RETURN, KILL_PROCESS),
        Instruction(_LOAD, _NUMBER),
        Instruction(_IF_AT_LEAST, _X32, no=1),
        Instruction(_RETURN, KILL_PROCESS),
        *_search(ranges),
    ]
    if len(program) > _MOST_INSTRUCTIONS:
        raise ValueError(f"the filter has {len(program)} instructions; the kernel takes {_MOST_INSTRUCTIONS}")
    return program


def _search(ranges: list[tuple[int, Rule]]) -> Program:
    """Find the range of the number by halving."""
    if len(ranges) == 1:
        return _answer(ranges[0][1])
    middle = len(ranges) // 2
    lower, upper = _search(ranges[:middle]), _search(ranges[middle:])
    # Comparisons skip 255 instructions at most, plain jumps any number.
    return [Instruction(_IF_AT_LEAST, ranges[middle][0], no=1), Instruction(_JUMP, len(lower)), *lower, *upper]


def _answer(rule: Rule) -> Program:
    program: Program = []
    for way in rule.only:
        program += _way(way)
    return [*program, Instruction(_RETURN, _ANSWERS["EPERM" if rule.only else rule.answer])]


def _way(tests: tuple[Test, ...]) -> Program:
    """Allow if every test holds; else go on after it."""
    program = [Instruction(_RETURN, ALLOW)]
    for test in reversed(tests):
        program = [*_check(test, len(program)), *program]
    return program


def _check(test: Test, rest: int) -> Program:
    """Go on with the next instruction if the test holds; else skip the ``rest`` that follows."""
    low = _ARGUMENTS + 8 * test.argument
    if test.whole:
        return [
            Instruction(_LOAD, low), Instruction(_IF_EQUAL, 0, no=2 + rest),
            Instruction(_LOAD, low + 4), Instruction(_IF_EQUAL, 0, no=rest),
        ]  # fmt: skip
    program = [Instruction(_LOAD, low)]
    if test.mask != 0xFFFFFFFF:
        program.append(Instruction(_AND, test.mask))
    # Equal to one: over the comparisons that are left, to what follows (wanted) or past all of it.
    count = len(test.values)
    for index, value in enumerate(test.values):
        left = count - 1 - index
        if test.wanted:
            program.append(Instruction(_IF_EQUAL, value, yes=left, no=0 if left else rest))
        else:
            program.append(Instruction(_IF_EQUAL, value, yes=left + rest))
    return program


def encode(program: Program) -> bytes:
    """The program as the kernel reads it (``struct sock_filter``)."""
    return b"".join(struct.pack("=HBBI", step.code, step.yes, step.no, step.value) for step in program)


@cache
def standard_filter() -> bytes:
    """The package's policy, assembled. Raises PolicyError."""
    return encode(assemble(Policy.load().rules()))


class SealedFilter:
    """The filter in memory that nobody can change any more, to be given to sandbox after sandbox."""

    def __init__(self, data: bytes) -> None:
        """Raises OSError."""
        self._memory = os.memfd_create("filter", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.write(self._memory, data)
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, seals)

    def open(self) -> int:
        """A new descriptor that reads the filter from its beginning; the caller closes it. Raises OSError."""
        # A copy of the descriptor would share its position with all others.
        return os.open(f"/proc/self/fd/{self._memory}", os.O_RDONLY | os.O_CLOEXEC)
