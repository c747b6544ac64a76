"""What is done to a whole database: every menu is opened, the addons are removed."""

import catalogue
import pytest
from whole_database import ROOT, copy, dev_odoo

import odoo

ADDONS = sorted(path.parent.name for path in ROOT.glob("library_crm*/__manifest__.py"))
BASE = "library_base"
#: How models, tables, fields and modules of ours are called, wherever that is written;
#: not the part of an address such as info@city-library.example.org.
OURS = r"(^|[^-[:alnum:]_])library[._]"
#: Where that may stand: Odoo's list of the modules that could be installed, and what
#: is told to browsers, which begins with the name of the database.
KNOWN = ("ir_module_module", "ir_module_module_dependency", "bus_bus")
XML_IDS = {
    # Not the names that mail and others give to what their mixins add to a model of
    # ours: Odoo drops the records with the model but leaves their names.
    "xml id": "SELECT module, name FROM ir_model_data WHERE module != 'test_lint' "
    "AND name NOT LIKE '%test_lint' AND (module LIKE 'library%' "
    "OR name NOT SIMILAR TO '(model_inherit|selection)__library%')",
}

# Both take minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


class TestClickEverywhere:
    def test_every_menu_opens(self):
        with copy("library_test_clicks") as name:
            log = dev_odoo("-d", name, "--test-tags", "click_all")
        assert "0 failed, 0 error(s)" in log


def is_odoos_own(row):
    """Whether Odoo leaves it behind itself.

    It lists the foreign keys of the fields that addons add to its own models, and takes
    the keys away, and not the names from the list. And two of its fields share a table,
    whose key goes by the one that was set up last.
    """
    kind, *names = row
    return (
        kind == "constraint of a model"
        and names[-1].endswith("_fkey")
        or row[:3] == ("words", "ir_model_constraint", "name")
        and names[-1].endswith("_fkey")
        or row[:3] == ("constraint", "rule_group_rel", "rule_group_rel_group_id_fkey")
    )


class TestUninstall:
    def test_leaves_odoo_as_it_was(self):
        with copy("library_test_uninstall") as name:
            dev_odoo("module", "uninstall", "-d", name, *ADDONS)
            left = get_remains(name)
            assert not left, "\n".join(sorted(map(str, left)))
            tests = "/crm:TestLeadConvert,/mass_mailing:TestMassMailValues"
            log = dev_odoo("-d", name, "-u", "crm,mass_mailing", "--test-tags", tests)
        assert "0 failed, 0 error(s)" in log
        assert "0 of 0 tests" not in log

    def test_an_installed_addon_would_be_seen(self):
        kinds = {kind for kind, *_ in get_remains(odoo.tests.common.get_db_name())}
        assert kinds >= {"relation", "column", "index", "constraint", "model", "field"}
        assert kinds >= {"view of Odoo", "menu", "job", "action", "group", "words"}
        assert kinds >= {"access", "choice", "rule of access", "xml id"}


def get_remains(database):
    """All that is in a database and not in one that never had the addons: of the
    catalogue of PostgreSQL, of Odoo's tables, and wherever something of ours is named.
    """
    queries = (catalogue.SCHEMA, catalogue.RECORDS, XML_IDS)
    left = catalogue.read(database, *queries) - catalogue.read(BASE, *queries)
    left |= {
        ("words", *place)
        for place in catalogue.find_words(database, OURS)
        - catalogue.find_words(BASE, OURS)
        if place[0] not in KNOWN
    }
    return {row for row in left if not is_odoos_own(row)}
