"""The names that examples in docstrings may use without importing them."""

import numpy as np
import pytest

import fastcnn as fc


@pytest.fixture(autouse=True)
def names_in_examples(doctest_namespace):
    doctest_namespace["fc"] = fc
    doctest_namespace["np"] = np
