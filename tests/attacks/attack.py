"""What an attack is: a step or several, each with what must be seen; and where it is known not to be denied."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Subject = Literal["root", "ordinary", "gvisor"]
"""An engine and who starts it: bubblewrap as root, bubblewrap as an ordinary user, gVisor as root."""

SUBJECTS: dict[Subject, str] = {
    "root": "bubblewrap as root",
    "ordinary": "bubblewrap without root",
    "gvisor": "gVisor",
}

_FOLDER = Path(__file__).parent


class Expected(BaseModel):
    """What must be seen of a step; what is None is not looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prints: str | None = Field(default=None, description="all of stdout, without the white space around it")
    prints_one_of: tuple[str, ...] | None = None
    ends: str | None = Field(default=None, description="the last line of stdout")
    complains: str | None = Field(default=None, description="a part of stderr")
    returns: int | None = Field(default=None, description="exit code; 128 + n after signal n")
    timed_out: bool | None = None
    truncated: bool | None = None
    notes: str | None = Field(default=None, description="a part of what the result says about limits")
    files: tuple[str, ...] | None = Field(default=None, description="names of the files returned, sorted")
    answers: str | None = Field(default=None, description="error_code of the request, or its HTTP status")
    holds_not: str | None = Field(default=None, description="no part of the returned file")
    answers_one_of: tuple[str, ...] | None = Field(default=None, description='"" is a request that was carried out')
    holds: str | None = Field(default=None, description="the whole downloaded content, or that of the returned file")


class Step(Expected):
    """One call of the public API.

    Exactly one of ``run`` (a program), ``ask`` (a bash program by way of a conversation with the demo model),
    ``upload`` (``content`` to a path), ``download`` (a path) and ``fork`` is given.
    """

    run: str | None = None
    language: Literal["python", "bash"] = "bash"
    plain: bool = Field(default=False, description="Python without the functions of calling.py before it")
    live: bool = Field(default=False, description="with its output as a stream of events")
    large: bool = Field(default=False, description="with a comment of half a megabyte behind it")
    back: bool = Field(default=False, description="in the container from before the fork")
    seconds: float | None = Field(default=None, description="the time limit of the call")
    ask: str | None = None
    upload: str | None = None
    content: str = "uploaded"
    size: int | None = Field(default=None, description="zeros to be uploaded in place of ``content``")
    download: str | None = None
    fork: bool = False
    times: int = Field(default=1, ge=1, description="so often at the same time; each must be seen as expected")
    by: Literal["attacker", "neighbour"] = "attacker"
    ordinary: Expected | None = None
    gvisor: Expected | None = None

    def expected(self, subject: Subject) -> dict[str, Any]:
        """What must be seen on a subject: its own expectations take the place of the general ones."""
        names = Expected.model_fields
        general = {name: getattr(self, name) for name in names}
        own = getattr(self, subject) if subject != "root" else None
        if own is not None:
            if own.prints is not None or own.prints_one_of is not None:
                general |= {"prints": None, "prints_one_of": None}
            general |= own.model_dump(include=own.model_fields_set)
        return {name: value for name, value in general.items() if value is not None}

    @model_validator(mode="after")
    def _one_thing(self) -> Step:
        done = [self.run is not None, self.ask is not None, self.upload is not None, self.download is not None]
        if [*done, self.fork].count(True) != 1:
            raise ValueError("a step does exactly one of: run, ask, upload, download, fork")
        return self


class Attack(BaseModel):
    """A hostile program and its denial."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=5)
    denial: str = Field(min_length=3, description="in words for the table; the steps hold it to the letter")
    policy: tuple[str, ...] = Field(default=(), description="groups of the filter's policy that this goes against")
    fresh: bool = Field(default=False, description="in a container of its own, which is deleted afterwards")
    step: tuple[Step, ...] = Field(min_length=1)
    fails: dict[Subject, str] = Field(default={}, description="where it is known not to be denied, and why")
    not_for: dict[Subject, str] = Field(default={}, description="where it is not tried, and why")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: dict[str, Any]) -> dict[str, Any]:
        """An attack of one step may have the step's keys itself; without words, the denial is what is printed."""
        if "step" not in given:
            own = {key: given.pop(key) for key in list(given) if key in Step.model_fields}
            given["step"] = [own]
        if "denial" not in given and "prints" in given["step"][-1]:
            given["denial"] = f"`{given['step'][-1]['prints']}`"
        return given

    @model_validator(mode="after")
    def _expects(self) -> Attack:
        if not any(step.expected("root") for step in self.step):
            raise ValueError(f"{self.name}: nothing is expected")
        return self


class Group(BaseModel):
    """Attacks on the same thing; they share a container unless they ask for their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    group: str
    about: str
    quick: bool = Field(default=False, description="none of it lasts, also where everything takes longer")
    attack: tuple[Attack, ...]


@cache
def groups() -> tuple[Group, ...]:
    """All groups, in the order of their files."""
    found = tuple(Group.model_validate(tomllib.loads(file.read_text())) for file in sorted(_FOLDER.glob("*.toml")))
    names = [attack.name for group in found for attack in group.attack]
    if len(set(names)) != len(names):
        raise ValueError(f"two attacks have one name: {sorted(name for name in names if names.count(name) > 1)}")
    return found
