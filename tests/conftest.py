"""What all tests share: the switch that accepts changes of golden files, the same surroundings
wherever they run, and that no test leaves a process behind."""

from __future__ import annotations

import gc
import locale
import os
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings

from tests.effort import examples
from tests.processes import adopt_orphans, children, end_all, left

# Of what tests make, little goes round in circles: to look for that after every 700 values would be
# a twelfth of all the time.
gc.set_threshold(50_000)

# Compiling the inner loop takes longer than all that the tests would gain by it. Those that ask
# for the compiled one take it away again.
os.environ.setdefault("SWAPTRACE_INTERPRETED", "1")

# What the user has set for programs and terminals of their own is not what the tests ask.
OF_THE_USER = (
    *("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONWARNINGS", "PYTHONHASHSEED"),
    *("SWAPTRACE_TRACEBACK", "GREP_OPTIONS", "TZ"),
)
# Nobody multiplies matrices: the threads for that are the most of what it takes to begin.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
for _name in OF_THE_USER:
    os.environ.pop(_name, None)
os.environ["TERM"] = "xterm"
for _name in [name for name in os.environ if name.startswith("LC_") or name == "LANGUAGE"]:
    del os.environ[_name]
os.environ["LANG"] = "C.UTF-8"
with suppress(locale.Error):
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
time.tzset()

# Nothing that is asked is a time, and what a test wants of its directory holds for all examples.
settings.register_profile(
    "swaptrace",
    deadline=None,
    derandomize="SWAPTRACE_TEST_RANDOM" not in os.environ,
    max_examples=examples(100),
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)
settings.load_profile("swaptrace")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --promote` writes what the tests got over what they expected."""
    parser.addoption("--promote", action="store_true", help="accept changes of golden files")


def pytest_collection_finish() -> None:
    """Thousands of tests stay to the end: the collector need not go through them again and again,
    which would be a sixth of all the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What programs keep for the user, tests keep elsewhere."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _orphans() -> None:
    """What a test leaves behind is a child of the process that runs the tests."""
    adopt_orphans()


@pytest.fixture(autouse=True)
def _no_process_is_left(_orphans: None) -> Iterator[None]:
    """Whatever a test started ends with it, and what it did not know of fails it."""
    before = set(children(os.getpid()))
    yield
    end_all()
    assert left(before) == []
