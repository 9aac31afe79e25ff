"""Hypothesis profiles, and the folder of the real data."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Fast and the same on every run. `--hypothesis-profile=thorough` looks at new cases, many more of them; `quick` is for
# builds that run slowly, such as those with sanitizers.
settings.register_profile("fastcnn", max_examples=60, derandomize=True, deadline=None, database=None)
settings.register_profile("quick", max_examples=10, derandomize=True, deadline=None, database=None)
settings.register_profile("thorough", max_examples=500, deadline=None, database=None, print_blob=True)
settings.load_profile("fastcnn")


@pytest.fixture(scope="session")
def data_dir():
    """The folder that holds `mnist/` and `gorgonia_trace/`, named by FASTCNN_DATA_DIR; skips without it."""
    folder = os.environ.get("FASTCNN_DATA_DIR")
    if not folder:
        pytest.skip("FASTCNN_DATA_DIR is not set")
    return Path(folder)
