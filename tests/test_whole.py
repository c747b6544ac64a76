"""What is done to a whole database: every menu is opened, the addons are removed."""

from contextlib import closing

import pytest
from whole_database import ROOT, copy, dev_odoo

import odoo.sql_db

ADDONS = sorted(path.parent.name for path in ROOT.glob("library_crm*/__manifest__.py"))

# Both take minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


class TestClickEverywhere:
    def test_every_menu_opens(self):
        with copy("library_test_clicks") as name:
            log = dev_odoo("-d", name, "--test-tags", "click_all")
        assert "0 failed, 0 error(s)" in log


class TestUninstall:
    def test_leaves_odoo_as_it_was(self):
        with copy("library_test_uninstall") as name:
            dev_odoo("module", "uninstall", "-d", name, *ADDONS)
            left = remains(name) - remains("library_base")
            assert not left, "\n".join(map(str, sorted(left)))
            tests = "/crm:TestLeadConvert,/mass_mailing:TestMassMailValues"
            log = dev_odoo("-d", name, "-u", "crm,mass_mailing", "--test-tags", tests)
        assert "0 failed, 0 error(s)" in log
        assert "0 of 0 tests" not in log

    def test_an_installed_addon_would_be_seen(self):
        left = remains(odoo.tests.common.get_db_name()) - remains("library_base")
        assert {kind for kind, *_ in left} >= {"table", "column", "index", "model"}


def remains(database: str) -> set[tuple]:
    """All that modules make in a database, each with its kind first."""
    queries = {
        "table": "SELECT table_name FROM information_schema.tables",
        "column": "SELECT table_name, column_name FROM information_schema.columns",
        "index": "SELECT tablename, indexname FROM pg_indexes",
        "constraint": "SELECT conrelid::regclass::text, conname FROM pg_constraint",
        "model": "SELECT model FROM ir_model",
        "field": "SELECT model, name FROM ir_model_fields",
        "view": "SELECT model, name FROM ir_ui_view",
        "menu": "SELECT name->>'en_US' FROM ir_ui_menu",
        "rule": "SELECT name FROM ir_rule",
        "group": "SELECT name->>'en_US' FROM res_groups",
        "cron": "SELECT cron_name FROM ir_cron",
        "action": "SELECT type, name->>'en_US' FROM ir_actions",
        "parameter": "SELECT key FROM ir_config_parameter",
        # Not the names that mail and others give to what their mixins add to a model
        # of ours: Odoo drops the records with the model but leaves their names.
        "xml id": "SELECT module, name FROM ir_model_data WHERE module != 'test_lint' "
        "AND name NOT LIKE '%test_lint' AND (module LIKE 'library%' "
        "OR name NOT SIMILAR TO '(model_inherit|selection)__library%')",
    }
    with closing(odoo.sql_db.db_connect(database).cursor()) as cr:
        found = set()
        for kind, query in queries.items():
            cr.execute(query)
            found.update((kind, *row) for row in cr.fetchall())
    odoo.sql_db.close_db(database)
    return found
