"""How often each of EC2's APIs may be called, and that a limiter keeps within that whatever others do."""

from __future__ import annotations

import pytest

from enaxp.rates import Bucket, Limiter, Rate, least_seconds, rate_of

LAUNCHES = "RunInstances"


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_bucket_gives_what_is_in_it_and_then_what_comes_back() -> None:
    bucket = Bucket(Rate(burst=2, per_s=2.0), now=0.0)

    taken = [bucket.take(now) for now in (0.0, 0.0, 0.0, 0.4, 0.5, 10.0, 10.0, 10.0)]

    assert taken == [True, True, False, False, True, True, True, False]


def test_a_limiter_spreads_launches_as_aws_allows_them() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock, sleep=clock.sleep)

    at = []
    for _ in range(9):
        limiter.wait(LAUNCHES)
        at.append(round(clock.now, 2))

    assert at == [0, 0, 0, 0, 0, 0.5, 1.0, 1.5, 2.0]


def test_an_api_does_not_wait_for_another() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock, sleep=clock.sleep)
    for _ in range(6):
        limiter.wait(LAUNCHES)
    then = clock.now

    limiter.wait("AttachNetworkInterface")

    assert clock.now == then


def test_after_a_refusal_nothing_is_taken_for_granted() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock, sleep=clock.sleep)
    limiter.wait(LAUNCHES)

    limiter.refused(LAUNCHES)
    limiter.wait(LAUNCHES)

    assert clock.now == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("calls", "seconds", "action"),
    [
        ({}, 0.0, ""),
        ({"RunInstances": 5, "CreateVpc": 1}, 0.0, "RunInstances"),
        ({"RunInstances": 128, "AttachNetworkInterface": 128, "CreateNetworkInterface": 128}, 61.5, "RunInstances"),
        ({"ModifyNetworkInterfaceAttribute": 256}, 31.2, "ModifyNetworkInterfaceAttribute"),
    ],
    ids=["nothing", "within the bucket", "64 pairs", "a crossover of 64 pairs"],
)
def test_the_least_time_of_many_calls_is_that_of_the_slowest_api(
    calls: dict[str, int], seconds: float, action: str
) -> None:
    assert least_seconds(calls) == (pytest.approx(seconds), action)


def test_reads_of_everything_have_a_smaller_bucket() -> None:
    assert rate_of("DescribeInstances", of_everything=True).burst < rate_of("DescribeInstances").burst
    assert rate_of("DescribeVpcs", of_everything=True) == rate_of("DescribeVpcs")
