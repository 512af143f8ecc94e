"""The sides of a conversation: what each says until the other speaks, with the place of every block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from bathysphere.wire.blocks import RequestBlock, TextBlock
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.requests import InputMessage


class Placed(NamedTuple):
    """A block and where it stands. A tuple, since there are thousands in a long conversation."""

    number: int
    place: int
    block: RequestBlock

    def wrong(self, message: str) -> InvalidRequest:
        """The complaint, which begins with the place."""
        return InvalidRequest(f"messages.{self.number}.content.{self.place}: {message}")


@dataclass(frozen=True, slots=True)
class Side:
    """Messages of one role that follow each other: to the protocol they are one."""

    role: Literal["user", "assistant"]
    blocks: list[Placed] = field(default_factory=list)


def sides(messages: list[InputMessage]) -> Iterator[Side]:
    """The conversation as it goes back and forth; system messages stand beside it. Raises InvalidRequest."""
    side: Side | None = None
    for number, message in enumerate(messages):
        if message.role == "system":
            for place, block in enumerate(message.content):
                if not isinstance(block, TextBlock):
                    raise Placed(number, place, block).wrong(
                        f"`{block.type}` blocks cannot be in system messages, which hold only `text` blocks"
                    )
            continue
        if side is None or side.role != message.role:
            if side is not None:
                yield side
            side = Side(message.role)
        side.blocks.extend(Placed(number, place, block) for place, block in enumerate(message.content))
    if side is not None:
        yield side
