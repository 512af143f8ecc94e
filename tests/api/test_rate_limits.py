"""Rate limits (WIRE j): who is charged, when there is room again, and what the headers say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bathysphere.api.errors import error_headers
from bathysphere.api.rate_limits import RateLimits
from bathysphere.containers.host import TooManySandboxes
from bathysphere.containers.recording import Actor
from bathysphere.settings import RateLimitSettings
from bathysphere.wire.errors import RateLimited

ANN = Actor("wrkspc_1", "apikey_ann")
BOB = Actor("wrkspc_1", "apikey_bob")
EVE = Actor("wrkspc_2", "apikey_eve")
PREFIX = "anthropic-ratelimit-requests-"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits(clock: Clock | None = None, **settings: int) -> RateLimits:
    return RateLimits(RateLimitSettings(**settings), clock or Clock())


def told(limited: RateLimits, actor: Actor = ANN) -> dict[str, str]:
    headers: dict[str, str] = {}
    limited.request(actor, headers)
    return headers


def test_without_a_limit_nothing_is_refused_or_told() -> None:
    limited = limits()
    assert [told(limited) for _ in range(1000)] == [{}] * 1000
    with limited.turn(ANN) as one, limited.turn(ANN) as two:
        one.use("container_1")
        two.use("container_2")


def test_a_minutes_requests_may_come_at_once_and_come_back_evenly() -> None:
    clock = Clock()
    limited = limits(clock, key_requests=4)
    assert [told(limited)[PREFIX + "remaining"] for _ in range(4)] == ["3", "2", "1", "0"]
    headers: dict[str, str] = {}
    with pytest.raises(RateLimited, match="4 requests per minute of this API key") as refused:
        limited.request(ANN, headers)
    assert error_headers(refused.value)["retry-after"] == "15"
    assert headers[PREFIX + "limit"] == "4"
    assert headers[PREFIX + "remaining"] == "0"
    clock.now += 14.9
    with pytest.raises(RateLimited) as refused:
        told(limited)
    assert error_headers(refused.value)["retry-after"] == "1"
    clock.now += 0.1
    assert told(limited)[PREFIX + "remaining"] == "0"
    clock.now += 3600
    assert told(limited)[PREFIX + "remaining"] == "3"


def test_waiting_for_as_long_as_was_told_is_enough() -> None:
    clock = Clock()
    limited = limits(clock, key_requests=7, workspace_requests=11)
    for _ in range(200):
        try:
            told(limited)
        except RateLimited as error:
            assert error.retry_after_seconds is not None
            clock.now += error.retry_after_seconds
            told(limited)


def test_reset_is_when_everything_is_there_again() -> None:
    headers = told(limits(key_requests=2))
    reset = datetime.strptime(headers[PREFIX + "reset"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(reset - datetime.now(UTC) - timedelta(seconds=30)) < timedelta(seconds=20)


def test_the_tighter_of_key_and_workspace_decides_and_is_told() -> None:
    limited = limits(key_requests=2, workspace_requests=3)
    assert told(limited, ANN)[PREFIX + "limit"] == "2"
    told(limited, ANN)
    with pytest.raises(RateLimited, match="this API key"):
        told(limited, ANN)
    assert told(limited, BOB)[PREFIX + "limit"] == "3", "what was refused is charged to nobody"
    with pytest.raises(RateLimited, match="this workspace"):
        told(limited, BOB)
    told(limited, EVE)


def test_turns_at_the_same_time() -> None:
    limited = limits(key_turns=1, workspace_turns=2)
    with limited.turn(ANN):
        with pytest.raises(RateLimited, match="concurrent turns has reached the limit of this API key, 1") as refused:
            limited.turn(ANN).__enter__()
        assert "retry-after" in error_headers(refused.value)
        with limited.turn(BOB):
            carl = Actor("wrkspc_1", "apikey_carl")
            with pytest.raises(RateLimited, match="this workspace, 2"):
                limited.turn(carl).__enter__()
            with limited.turn(EVE):
                pass
    for _ in range(3):
        with pytest.raises(LookupError), limited.turn(ANN):
            raise LookupError("the place is free again after a failure")


def test_containers_at_the_same_time() -> None:
    limited = limits(key_containers=1)
    with limited.turn(ANN) as first, limited.turn(ANN) as second:
        first.use("container_1")
        first.use("container_1")
        second.use("container_1")
        with limited.turn(ANN) as third, pytest.raises(TooManySandboxes, match="this API key"):
            third.use(None)
        with limited.turn(BOB) as other:
            other.use("container_2")
    with limited.turn(ANN) as alone:
        alone.use(None)
        alone.use("container_3")  # the new one has got its name
