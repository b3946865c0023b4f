"""The contract of all doors: one set of tests, and what a person does at each of them."""

import pytest

# It has assertions, and no name that pytest would know it by.
pytest.register_assert_rewrite("tests.doors.contract")
