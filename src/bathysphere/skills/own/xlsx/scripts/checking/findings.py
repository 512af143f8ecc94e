"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

MOST = 20_000


@dataclass(frozen=True, slots=True)
class Finding:
    level: str
    kind: str
    where: str
    what: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass
class Findings:
    found: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def error(self, kind: str, where: str, what: str) -> None:
        self._add(Finding("error", kind, where, what))

    def warning(self, kind: str, where: str, what: str) -> None:
        self._add(Finding("warning", kind, where, what))

    def _add(self, finding: Finding) -> None:
        if len(self.found) < MOST:
            self.found.append(finding)
