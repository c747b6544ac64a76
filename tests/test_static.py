"""Checks that need no behaviour: what Odoo would accept in silence, and style.

They go over every addon of the checkout, also over one that is added later.
"""

import io
import re
import subprocess
from pathlib import Path

import pytest

from odoo.api import SUPERUSER_ID, Environment
from odoo.modules.registry import Registry
from odoo.tests.common import get_db_name
from odoo.tools.translate import trans_export

ROOT = Path(__file__).parent.parent
ADDONS = sorted(path.parent.name for path in ROOT.glob("library_crm*/__manifest__.py"))

# What Odoo 19 reads without a word and then ignores, or what it has renamed:
# (why it is wrong, in which files, the pattern, an example it has to catch).
IGNORED = {
    "_sql_constraints": (
        "makes no constraint: models.Constraint",
        ".py",
        r"\b_sql_constraints\b",
        "_sql_constraints = [('name_uniq', 'unique (name)', 'Twice')]",
    ),
    "type json": (
        "is deprecated: type='jsonrpc'",
        ".py",
        r"\btype\s*=\s*['\"]json['\"]",
        "@http.route('/library', type='json', auth='user')",
    ),
    "kanban-box": (
        "shows an empty board: t-name='card'",
        ".xml",
        r"\bkanban-box\b",
        '<t t-name="kanban-box"/>',
    ),
    "oe_chatter": (
        "renders nothing: <chatter/>",
        ".xml",
        r"\boe_chatter\b",
        '<div class="oe_chatter"/>',
    ),
    "view_mode tree": (
        "opens no view: list",
        ".xml .py .csv",
        r"view_mode\W+[\w,>\s'\"=]*?\btree\b",
        '<field name="view_mode">kanban,tree,form</field>',
    ),
    "tree view": (
        "is refused: <list>",
        ".xml",
        r"<tree\b",
        '<tree string="Patrons">',
    ),
}

# What belongs to one machine or one network and so not into the project.
MACHINE = re.compile(
    r"(?<![\w.])/(?:home|Users|work)/\w+|(?<![\w.])/root/\w+"
    r"|\b(?:deb\.debian|pypi|registry\.npmjs|files\.pythonhosted|registry\.yarnpkg)"
    r"\.(?:org|com)\b"
)


def files(addon: str, suffixes: str) -> list[Path]:
    """The files of an addon with one of the suffixes."""
    found = (ROOT / addon).rglob("*")
    return sorted(path for path in found if path.suffix in suffixes.split())


@pytest.mark.parametrize("name", IGNORED)
@pytest.mark.parametrize("addon", ADDONS)
def test_uses_nothing_that_odoo_ignores(addon, name):
    why, suffixes, pattern, _example = IGNORED[name]
    for path in files(addon, suffixes):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert not re.search(pattern, line), f"{path}:{number}: {name} {why}"


@pytest.mark.parametrize("name", IGNORED)
def test_the_patterns_catch_what_they_are_for(name):
    _why, _suffixes, pattern, example = IGNORED[name]
    assert re.search(pattern, example)


@pytest.mark.parametrize("linter", ["ruff", "pylint", "prettier"])
def test_lint(linter):
    lint = [ROOT / "dev", "lint", linter]
    result = subprocess.run(lint, capture_output=True, text=True)
    assert not result.returncode, result.stdout + result.stderr


def test_install_log_has_no_warning():
    log = (ROOT / ".dev" / "log" / "library_test.log").read_text()
    assert "Modules loaded." in log
    assert not bad_lines(log)


def test_a_warning_in_the_install_log_is_seen():
    log = (
        "2026-01-01 00:00:00,000 1 INFO library_test odoo.registry: all is well\n"
        "2026-01-01 00:00:00,000 1 WARNING library_test py.warnings: "
        "/odoo/addons/base/models/res_partner.py:830: DeprecationWarning: of Odoo\n"
        "2026-01-01 00:00:00,000 1 WARNING library_test odoo.registry: ours\n"
    )
    assert bad_lines(log) == log.splitlines()[-1:]


def bad_lines(log: str) -> list[str]:
    """The lines of a log at WARNING or above, without what Python says about Odoo."""
    bad = re.findall(r"^\S+ \S+ \d+ (?:WARNING|ERROR|CRITICAL) .*$", log, re.MULTILINE)
    ours = re.compile("|".join(f"/{addon}/" for addon in ADDONS))
    return [line for line in bad if "py.warnings" not in line or ours.search(line)]


def test_demo_data_was_loaded():
    with Registry(get_db_name()).cursor() as cr:
        cr.execute(
            "SELECT m.name, error FROM ir_demo_failure f, ir_module_module m "
            "WHERE m.id = f.module_id"
        )
        assert not cr.fetchall()
        cr.execute(
            "SELECT name FROM ir_module_module WHERE demo AND name IN %s",
            [tuple(ADDONS)],
        )
        assert sorted(name for (name,) in cr.fetchall()) == ADDONS


@pytest.mark.parametrize("addon", ADDONS)
def test_translation_template_is_current(addon):
    template = ROOT / addon / "i18n" / f"{addon}.pot"
    with Registry(get_db_name()).cursor() as cr:
        exported = io.BytesIO()
        trans_export(None, [addon], exported, "po", Environment(cr, SUPERUSER_ID, {}))
    assert template.exists() and terms(template.read_text()) == terms(
        exported.getvalue().decode()
    ), f"make it anew: ./dev odoo i18n export -d library_test {addon}"


def terms(text: str) -> list[str]:
    """A translation file without the lines that change with the day of its export."""
    return [
        line for line in text.splitlines() if not re.match(r'"(POT?)-\w+-Date', line)
    ]


def test_nothing_of_one_machine_is_tracked():
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this is not a checkout of git")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        found = MACHINE.search(path.read_bytes().decode(errors="ignore"))
        assert not found, f"{name}: {found.group()}"


@pytest.mark.parametrize(
    "text", ["/home/ada/x", "see /root/secret", f"https://{'pypi'}.org", "/Users/ada"]
)
def test_what_belongs_to_one_machine_is_seen(text):
    assert MACHINE.search(text)
    assert not MACHINE.search("from odoo.http import route; href='/my/home/patron'")
