import base64
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import LibraryCommon

HEADER = "card_number,email,purpose,channel,state,date,proof"


@tagged("post_install", "-at_install")
class TestConsentImport(LibraryCommon):
    """A manager takes over what patrons agreed to elsewhere."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.Consent = cls.env["library.consent"]
        cls.news = cls.env.ref("library_crm.library_consent_purpose_news")

    def _import(self, *lines, header=HEADER, user=None, **values):
        text = "\n".join((header, *lines))
        wizard = (
            self.env["library.consent.import"]
            .with_user(user or self.manager)
            .create(
                {
                    "company_id": self.library.id,
                    "file": base64.b64encode(text.encode()),
                    "is_dry_run": False,
                    **values,
                }
            )
        )
        wizard.action_import()
        return wizard

    def _agreed(self, patron, channel="email"):
        return self.Consent._get_agreed_purposes(patron, channel).get(
            patron.id, self.news.browse()
        )

    def _counts(self, wizard):
        return wizard.rows_new, wizard.rows_known, wizard.rows_refused

    def test_rows_come_with_their_day_and_their_proof(self):
        wizard = self._import(
            "0042,,news,email,given,2024-05-01,Old newsletter list",
            ",Bruno.Silva@test.example.com,survey,,yes,2024-06-01,Signed form 17",
            "0043,,news,post,withdrawn,2024-06-02,Letter of 1 June",
        )
        self.assertEqual(self._counts(wizard), (3, 0, 0))
        rows = self.Consent.search([("patron_id", "in", (self.amal + self.bruno).ids)])
        self.assertEqual(
            {
                (row.patron_id, row.purpose_id.code, row.channel, row.state)
                + (str(row.date.date()), row.source, row.proof, row.user_id)
                for row in rows
            },
            {
                (self.amal, "news", "email", "given")
                + ("2024-05-01", "import", "Old newsletter list", self.manager),
                (self.bruno, "survey", "email", "given")
                + ("2024-06-01", "import", "Signed form 17", self.manager),
                (self.bruno, "news", "post", "withdrawn")
                + ("2024-06-02", "import", "Letter of 1 June", self.manager),
            },
        )
        self.assertEqual(self._agreed(self.amal), self.news)

    def test_the_same_file_again_adds_nothing(self):
        lines = (
            "0042,,news,email,given,2024-05-01,List",
            "0042,,news,email,given,2024-05-01,List",
            f"0043,,news,email,withdrawn,{fields.Date.today()},On the phone",
        )
        self.assertEqual(self._counts(self._import(*lines)), (2, 1, 0))
        self.assertEqual(self._counts(self._import(*lines)), (0, 3, 0))

    def test_trying_changes_nothing(self):
        before = self.Consent.search_count([])
        wizard = self._import("0042,,news,email,given,2024-05-01,List", is_dry_run=True)
        self.assertEqual(self._counts(wizard), (1, 0, 0))
        self.assertEqual(self.Consent.search_count([]), before)
        wizard.action_import_tried()
        self.assertEqual(self.Consent.search_count([]), before + 1)
        self.assertFalse(wizard.file, "The file has done its work")

    def test_old_yes_does_not_undo_a_later_no(self):
        self.Consent._record(self.amal, self.news)
        self.Consent._record(self.amal, self.news, state="withdrawn")
        today = fields.Date.today()
        self._import(
            "0042,,news,email,given,2024-05-01,List",
            f"0042,,news,email,given,{today},List of today",
        )
        self.assertFalse(self._agreed(self.amal))

    def test_of_a_yes_and_a_no_on_one_day_the_no_holds(self):
        self._import(
            "0042,,news,email,withdrawn,2024-05-01,Letter",
            "0042,,news,email,given,2024-05-01,List",
        )
        self.assertFalse(self._agreed(self.amal))

    def test_refused_rows_say_line_column_found_and_expected(self):
        tomorrow = fields.Date.today() + timedelta(days=1)
        self.amal.copy({"email": self.amal.email, "company_id": self.library.id})
        wizard = self._import(
            "9999,,news,email,given,2024-05-01,List",
            ",nobody@test.example.com,news,email,given,2024-05-01,List",
            f",{self.amal.email},news,email,given,2024-05-01,List",
            "0042,,gossip,email,given,2024-05-01,List",
            "0042,,service,email,given,2024-05-01,List",
            "0042,,news,pigeon,given,2024-05-01,List",
            "0042,,news,email,maybe,2024-05-01,List",
            "0042,,news,email,given,2024-02-30,List",
            f"0042,,news,email,given,{tomorrow},List",
            "0042,,news,email,given,2024-05-01,",
            ",,news,email,given,2024-05-01,List",
            ",no address,news,email,given,2024-05-01,List",
            "0042,,news",
            "0043,,news,email,given,2024-05-01,The good one",
        )
        self.assertEqual(self._counts(wizard), (1, 0, 13))
        refusals = wizard.refusals.split("\n")
        for line, told in enumerate(
            (
                "card_number: found “9999”, expected a patron",
                "email: found “nobody@test.example.com”, expected a patron",
                "email: found “amal.idris@test.example.com”, which 2 patrons share",
                "purpose: found “gossip”, expected news, profiling, survey",
                "purpose: found “service”, expected news, profiling, survey",
                "channel: found “pigeon”, expected email, phone, post",
                "state: found “maybe”, expected given, withdrawn",
                "date: found “2024-02-30”, expected iso",
                f"date: found {tomorrow}, expected a day that is not in the future",
                "proof: the cell is empty",
                "card_number: the cell is empty",
                "email: found “no address”, expected name@example.org",
                "the row can not be read",
            ),
            2,
        ):
            with self.subTest(told):
                self.assertIn(f"Line {line}", refusals[line - 2])
                self.assertIn(told, refusals[line - 2])

    def test_file_that_is_another_is_refused_whole(self):
        for header in ("title,author", "card_number,purpose,state,date"):
            with self.subTest(header), self.assertRaises(UserError):
                self._import("1,2", header=header)

    def test_patrons_of_another_library_are_not_found(self):
        wizard = self._import(
            ",chidi.okafor@test.example.com,news,email,given,2024-05-01,List"
        )
        self.assertEqual(self._counts(wizard), (0, 0, 1))

    def test_import_is_for_managers(self):
        for role in (self.desk, self.marketing):
            with self.subTest(role.login), self.assertRaises(AccessError):
                self._import(user=role)
