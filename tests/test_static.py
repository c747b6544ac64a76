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

from odoo.addons.library_crm.formats import counter, events, headers, koha
from odoo.addons.library_crm.formats.headers import get_forbidden

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


# Fields whose names sound like what may never be kept, and what they hold instead.
HARMLESS = {
    "library.data.load.notes": "what a load did, in words of the program",
    "library.data.source.secret": "of another system, and not readable",
    "library.journey.step.note": "what staff are told to do, the same for everybody",
    "library.peer.import.notes": "what an import of other libraries' figures found",
    "library.survey.figures.question_id": "of a survey",
    "library.survey.gap.result.item_id": "of a list of ratings",
    "library.survey.gap.result.question_id": "of a survey",
    "library.survey.result.question_id": "of a survey",
    "library.value.table.note": "where prices come from",
    "loyalty.history.library_note": "what points are for, in words of the program",
    "survey.question.library_is_call_question": "whether somebody may be called",
    "survey.survey.library_call_days": "by which day somebody is called",
    "survey.user_input.library_may_call": "whether somebody may be called",
}


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


def stored_fields():
    """The columns that the addons bring, as ``model.field``."""
    registry = Registry(get_db_name())
    for name, model in registry.items():
        for field in model._fields.values():
            modules = set(field._modules or ())
            is_ours = model._original_module in ADDONS or modules <= set(ADDONS)
            if field.store and modules and is_ours:
                yield f"{name}.{field.name}"


def test_no_column_is_for_what_somebody_reads_or_searches():
    """Titles, authors, numbers of items, call numbers, subjects, searches, passwords,
    notes about conduct: the same words that keep a column of a file out."""
    found = {
        place
        for place in stored_fields()
        if get_forbidden(place.rpartition(".")[2], "patrons")
    }
    assert found == HARMLESS.keys()


def test_no_format_takes_what_somebody_reads_or_searches():
    for kind, known in headers.KNOWN.items():
        for field, names in known.items():
            assert not get_forbidden(field, kind)
            for name in names:
                for part in (name,) if isinstance(name, str) else name:
                    # Names are without spaces here: where a barcode is that of a card
                    # is told by the words.
                    found = get_forbidden(part, kind, field)
                    assert not found or (field, found) == ("card_number", "barcode")
    for kind, layout in (
        ("patrons", koha.PATRONS),
        ("usage", koha.STATISTICS),
        ("usage", events.EventsFormat.layout),
        ("usage", counter.CounterFormat.layout),
    ):
        for name in layout.used:
            assert not get_forbidden(name, kind), name


@pytest.mark.parametrize("addon", ADDONS)
def test_no_data_that_comes_along_names_a_book(addon):
    for path in files(addon, ".xml .csv .json .py"):
        if {"data", "demo"} & set(path.parts):
            found = re.search(
                r"(?<![\w.-])97[89][\d -]{10,14}(?![\w-])", path.read_text()
            )
            assert not found, f"{path}: {found.group()}"


@pytest.mark.parametrize(
    "name", ["title", "isbn", "item_id", "call_number", "search_term", "pin", "subject"]
)
def test_a_column_for_it_would_be_seen(name):
    assert get_forbidden(name, "patrons")


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
