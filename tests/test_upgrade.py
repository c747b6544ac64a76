"""A library that runs the version before updates: nothing is lost, and the database is
as if this version had been installed."""

import re
from contextlib import closing
from pathlib import Path

import catalogue
import psycopg2
import pytest
from whole_database import ROOT, Place, copy, dev_odoo

from odoo.sql_db import connection_info_for
from odoo.tools import config

from devkit.common import settings
from devkit.release import unpack_release

#: Columns that an update takes away or changes on purpose, each with the reason.
ON_PURPOSE = {}


def test_release_before_holds_each_addon_in_one_version(tmp_path):
    versions = unpack_release(tmp_path)
    assert len(set(versions.values())) == 1
    assert "library_crm" in versions
    [before] = set(versions.values())
    changes = re.findall(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    # It is this version or the one before it.
    assert settings["metadata"]["version"] == changes[0]
    assert before in changes[:2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_update_keeps_the_data_and_ends_as_a_new_installation(tmp_path):
    addons = [path.parent.name for path in ROOT.glob("library_crm*/__manifest__.py")]
    before = unpack_release(tmp_path)
    folders = [
        str(tmp_path) if Path(folder) == ROOT else folder
        for folder in config["addons_path"]
    ]
    assert str(tmp_path) in folders
    with copy("library_test_upgrade", "library_base") as name:
        common = ("-d", name, "--no-http", "--stop-after-init")
        dev_odoo(
            *common,
            f"--addons-path={','.join(folders)}",
            *("-i", ",".join(before), "--with-demo"),
        )
        # What a manager has set is not what comes along.
        Place.of(name).ask("UPDATE library_retention_rule SET keep_number = 99")
        kept = read_values(name)
        log = dev_odoo(*common, "-u", ",".join(before), "-i", ",".join(addons))
        assert " ERROR " not in log and "Traceback" not in log
        lost = find_lost(kept, read_values(name))
        assert lost == {}
        # Of a column Odoo writes down what it is called when it makes it, and not when
        # its field is called otherwise later: there is a remark, whatever it says.
        fresh, updated = (
            {
                row[:-1] if row[0] == "remark" and row[3] else row
                for row in catalogue.read(database, catalogue.SCHEMA, catalogue.RECORDS)
            }
            for database in ("library_test", name)
        )
    # Of the fields that a patron has by being a contact, Odoo lists those of addons
    # that were loaded before ours; in an update others are than in an installation.
    of_contacts = {
        ("field", "library.patron", row[-1])
        for row in fresh
        if row[:2] == ("field", "res.partner")
    }
    # `test_lint` is installed for the tests.
    apart = {
        row for row in (fresh ^ updated) - of_contacts if "test_lint" not in str(row)
    }
    assert not apart, "\n".join(
        sorted(f"{'new' if row in fresh else 'old'}: {row}" for row in apart)
    )


def read_values(database):
    """What each column of each table of ours holds: in how many rows something, and a
    digest of all of it in the order of the ids; and how many rows there are."""
    _name, address = connection_info_for(database)
    found = {}
    with closing(psycopg2.connect(**address)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            """
            SELECT relname, attname
              FROM pg_attribute
              JOIN pg_class ON pg_class.oid = attrelid
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               AND attnum > 0 AND NOT attisdropped
               AND (relname LIKE 'library%' OR relname IN ('res_partner', 'crm_lead',
                    'loyalty_card', 'loyalty_history', 'loyalty_program',
                    'survey_user_input', 'survey_user_input_line', 'mailing_mailing',
                    'mailing_trace'))
               AND attname NOT IN ('write_date', 'write_uid')
            """
        )
        for table, column in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*), count("{column}"), '
                f"""md5(string_agg("{column}"::text, '|' ORDER BY "{column}"::text)) """
                f'FROM "{table}"'
            )
            found[table, column] = cursor.fetchone()
    return found


def find_lost(before, after):
    """:return: the columns that are gone, empty in more rows, or of other content"""
    return {
        place: (values, after.get(place))
        for place, values in before.items()
        if after.get(place) != values and place not in ON_PURPOSE
    }
