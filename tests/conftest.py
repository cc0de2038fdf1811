"""What every test may rely on: reproducible hypothesis runs, and the shared sample data where there is some.

The sample data lives outside the repository. Where its folder is absent, the tests that read it are left out
and the head of the run says so: nothing is green for want of data without a line that tells.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("FARMGATE_SHARED_DATA") or ROOT.parent / "shared" / "data").resolve()

# Each run tries the same examples, however slow the machine; `--hypothesis-profile=explore` seeks new ones.
settings.register_profile("repeat", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("explore", deadline=None, database=None, print_blob=True)
settings.load_profile("repeat")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of sample documents, read only: `shared_data / "epcis" / "valid"`."""
    return SHARED_DATA


def pytest_report_header() -> str:
    """Say where the sample data is, or that the tests that read it are left out."""
    if SHARED_DATA.is_dir():
        return f"shared data: {SHARED_DATA}"
    return f"shared data: ABSENT ({SHARED_DATA}); set FARMGATE_SHARED_DATA to run the tests that read it"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out (pytest counts them as deselected) what reads the sample data where there is none."""
    if SHARED_DATA.is_dir():
        return
    reads = [item for item in items if "shared_data" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=reads)
    items[:] = [item for item in items if item not in reads]
