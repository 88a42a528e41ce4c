"""How many calls at once: found out from what comes back, in a time that is passed in."""

from __future__ import annotations

from chatport_bulk.pace import Pace


class Vendor:
    """Answers in a second, up to so many at a time; refuses what is more, or lets it wait."""

    def __init__(self, room: int, *, refuses: bool) -> None:
        self.room = room
        self.refuses = refuses
        self.now = 0.0
        self.refusals = 0
        self.answers = 0

    def rounds(self, pace: Pace, number: int) -> None:
        for _ in range(number):
            asked = pace.limit
            seconds = 1.0 if self.refuses else max(1.0, asked / self.room)
            self.now += seconds
            answered = min(asked, self.room) if self.refuses else asked
            for n in range(answered):
                pace.answered(self.now + n / answered / 1000, seconds, was_full=True)
            self.answers += answered
            for _ in range(asked - answered):
                self.refusals += 1
                pace.refused(self.now)


def test_it_doubles_until_the_vendor_refuses_and_then_stays_near_its_limit() -> None:
    vendor, pace = Vendor(100, refuses=True), Pace(1000)
    vendor.rounds(pace, 6)
    assert vendor.refusals > 0
    vendor.answers = vendor.refusals = 0
    seen = []
    for _ in range(100):
        vendor.rounds(pace, 1)
        seen.append(pace.limit)
    assert min(seen) >= 60
    assert max(seen) <= 110
    assert vendor.refusals < vendor.answers / 20


def test_a_vendor_that_never_refuses_is_not_given_more_than_helps() -> None:
    vendor, pace = Vendor(40, refuses=False), Pace(5000)
    vendor.rounds(pace, 40)
    assert 20 <= pace.limit <= 150


def test_it_keeps_within_what_is_allowed_and_never_stops() -> None:
    pace = Pace(4, first=100)
    assert pace.limit == 4
    for second in range(50):
        pace.refused(second * 10.0)
    assert pace.limit == 1
    for second in range(50):
        pace.answered(1000.0 + second, 1.0, was_full=True)
    assert 1 <= pace.limit <= 4


def test_refusals_of_one_moment_count_once() -> None:
    pace = Pace(100, first=100)
    for _ in range(30):
        pace.refused(5.0)
    assert pace.limit == 70


def test_answers_while_there_was_room_prove_nothing() -> None:
    pace = Pace(100, first=10)
    for second in range(100):
        pace.answered(float(second), 1.0, was_full=False)
    assert pace.limit == 10
