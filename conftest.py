"""What the tests of all the addons share."""

import os
import shutil
from pathlib import Path

import pytest

from odoo.tests.common import HttpCase, get_db_name
from odoo.tools import config

ROOT = Path(__file__).parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In continuous integration a browser test that was skipped has failed.

    Odoo skips it without a word when it finds no browser or cannot speak to it.
    """
    report = yield
    browser = item.cls is not None and issubclass(item.cls, HttpCase)
    if report.skipped and browser and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid}: a browser test was skipped: {report.longrepr}"
        )
    return report


@pytest.fixture(scope="session", autouse=True)
def own_filestore(load_registry):
    """Give each worker files of its own, as it has a database of its own.

    pytest-odoo lets all the workers write into one filestore, where the vacuum of one
    removes files that another has just made.
    """
    own = Path(config["data_dir"], "filestore", get_db_name())
    shared = Path(config.filestore(get_db_name()))
    if own == shared:
        yield
        return
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree(shared, own, copy_function=os.link)
    pytest_odoo_choice, config.filestore = config.filestore, lambda name: str(own)
    yield
    config.filestore = pytest_odoo_choice
    shutil.rmtree(own, ignore_errors=True)
