"""What every test of the house leaves as it found it, whoever runs after it in the same process."""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Iterator

import pytest
import structlog

_FROZEN_AFTER = 500
_runs = itertools.count(1)


def pytest_sessionstart() -> None:
    """Collect no garbage while tests are collected: forty thousand are made, all of which stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the thousands of tests, which stay: a full run of it took a second."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish() -> None:
    """And over what stays of those that have run: recordings that are read once, modules, reports."""
    if next(_runs) % _FROZEN_AFTER == 0:
        pytest_collection_finish()


@pytest.fixture(autouse=True, scope="session")
def _no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the command line remembers, such as the names of models, out of the cache of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Forget how a test configured structlog, and end the threads that ask a store for leases."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
    if "chatport.sharing.server" in sys.modules:
        from chatport.sharing.server import close_all

        close_all()
