"""What the suite could not check is said, and does not pass in silence."""

from __future__ import annotations

import pytest

from .subject import ConformanceTests

__all__ = ["ReportTests"]


class ReportTests(ConformanceTests):
    """The last test of the suite: a skip whose reason lists what the tests before it had to leave."""

    def test_what_could_not_be_checked_is_said(self) -> None:
        left = self.subject.unchecked
        if left:
            lines = [f"{what}: {why}" for what, why in sorted(left.items())]
            pytest.skip(f"{self.subject.name}: not checked:\n  " + "\n  ".join(lines))
