"""Odoo's own addon that looks up what is held about somebody, beside ours."""

import re

import pytest
from whole_database import copy, dev_odoo

# It takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_what_is_deleted_in_the_look_up_is_erased():
    tests = "/library_crm:TestPrivacyLookup"
    with copy("library_test_lookup") as name:
        dev_odoo("-d", name, "-i", "privacy_lookup", "--stop-after-init")
        log = dev_odoo("-d", name, "--test-tags", tests)
    assert "0 failed, 0 error(s)" in log
    assert int(re.search(r"of (\d+) tests", log)[1]) >= 3
