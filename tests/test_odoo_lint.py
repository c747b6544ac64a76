"""Odoo's own test suite of style, `test_lint`, over the addons of this checkout.

As it stands it goes over all of Odoo for half an hour, so what it goes over is narrowed
to our addons. The parts that go over the loaded models see all of them.
"""

import contextlib
import importlib
import logging
import pkgutil
import unittest
from pathlib import Path
from unittest import mock

import pytest

from odoo.modules import Manifest
from odoo.tools import config

import odoo.addons
from odoo.addons.test_lint import tests as suite

ROOT = Path(__file__).parent.parent
ADDONS = sorted(path.parent.name for path in ROOT.glob("library_crm*/__manifest__.py"))
MODULES = sorted(
    module.name
    for module in pkgutil.iter_modules(suite.__path__)
    if module.name.startswith("test_")
)


@contextlib.contextmanager
def only_ours(name: str):
    """Let a module of Odoo's suite find no other addons than ours."""
    manifests = [Manifest.for_addon(addon) for addon in ADDONS]
    folders = [str(ROOT / addon) for addon in ADDONS]
    with contextlib.ExitStack() as changes:
        changes.enter_context(
            mock.patch.object(Manifest, "all_addon_manifests", lambda: manifests)
        )
        # These two go over Odoo's own folder besides.
        if name == "test_markers":
            changes.enter_context(mock.patch.object(odoo.addons, "__path__", folders))
            changes.enter_context(mock.patch.object(odoo, "__path__", []))
        if name == "test_pylint":
            changes.enter_context(mock.patch.object(config, "root_path", folders[0]))
        yield


@pytest.mark.parametrize("name", MODULES)
def test_odoo_lint(name, caplog):
    with only_ours(name):
        assert not problems(name, caplog)


def problems(name: str, caplog) -> str:
    """What a module of the suite finds fault with, as text."""
    module = importlib.import_module(f"{suite.__name__}.{name}")
    tests = unittest.defaultTestLoader.loadTestsFromModule(module)
    result = unittest.TestResult()
    with caplog.at_level(logging.WARNING):
        tests.run(result)
    assert result.testsRun
    return "\n".join(
        [text for _test, text in [*result.failures, *result.errors]]
        + [record.getMessage() for record in caplog.records]
    )
