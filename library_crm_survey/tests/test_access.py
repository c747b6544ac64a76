from odoo.exceptions import AccessError
from odoo.tests import tagged

from odoo.addons.library_crm.tests.test_access import OPERATIONS, ROLES

from .common import RoundCommon

# As in library_crm: what each role may do, in the order of ROLES.
RIGHTS = {
    "library.survey.gap.result": ("r", "r", "r", "", ""),
    "library.survey.gate": ("", "", "", "", ""),
    "library.survey.invitation": ("", "", "r", "", ""),
    "library.survey.overview": ("rwc", "rwc", "rwc", "", ""),
    "library.survey.response": ("r", "r", "r", "", ""),
    "library.survey.result": ("r", "r", "r", "", ""),
    "library.survey.roll": ("", "", "", "", ""),
    "library.survey.round": ("r", "r", "rwcu", "", ""),
    "survey.question": ("", "", "rwcu", "", ""),
    "survey.survey": ("r", "r", "rwcu", "", ""),
    "survey.user_input": ("", "", "rwcu", "", ""),
    "survey.user_input.line": ("", "", "r", "", ""),
}


@tagged("post_install", "-at_install")
class TestAccess(RoundCommon):
    def test_each_role_may_do_what_the_design_says(self):
        for model, rights in RIGHTS.items():
            for role, allowed in zip(ROLES, rights, strict=True):
                Model = self.env[model].with_user(getattr(self, role))
                for letter, operation in OPERATIONS.items():
                    with self.subTest(model=model, role=role, operation=operation):
                        self.assertEqual(Model.has_access(operation), letter in allowed)

    def test_every_model_of_the_addon_is_in_the_table(self):
        models = {
            name
            for name in self.env.registry
            if name.startswith("library.")
            and not self.env[name]._abstract
            and self.env[name]._original_module == "library_crm_survey"
        }
        self.assertEqual(models - RIGHTS.keys(), set())

    def test_nobody_sees_rounds_of_another_library(self):
        other = self.env["library.survey.round"].create(
            {
                "name": "At the hill",
                "company_id": self.other_library.id,
                "survey_id": self.survey.copy(
                    {"library_company_id": self.other_library.id, "user_id": False}
                ).id,
            }
        )
        own = self._make_round()
        Round = self.env["library.survey.round"].with_user(self.manager)
        found = Round.search([("id", "in", (own + other).ids)])
        self.assertEqual(found, own)

    def test_desk_sees_the_kiosks_of_its_branches(self):
        main, north = (
            self._make_round(name=branch.name, kind="kiosk", branch_id=branch.id)
            for branch in (self.main, self.north)
        )
        Round = self.env["library.survey.round"].with_user(self.desk)
        self.assertEqual(Round.search([("id", "in", (main + north).ids)]), main)

    def test_nobody_reads_the_link_of_a_patron(self):
        """With it one could answer in the patron's name."""
        asking_round = self._make_round(self.amal)
        asking_round.action_start()
        asking_round.invitation_ids.state = "asked"
        by_job = self.amal.sudo().with_context(library_survey_round=asking_round.id)
        self.assertIn("#", by_job.survey_link)
        for role in ("desk", "marketing", "manager"):
            patron = self.amal.with_user(getattr(self, role)).with_context(
                library_survey_round=asking_round.id
            )
            with self.subTest(role):
                self.assertTrue(patron.survey_link)
                self.assertNotIn("#", patron.survey_link)

    def test_desk_is_told_of_dissatisfaction_only_where_a_call_was_agreed(self):
        self._answer(self.amal, score=3, call=True)
        as_desk = self.amal.with_user(self.desk)
        self.assertIn("Unhappy", as_desk.satisfaction_text)
        with self.assertRaises(AccessError):
            as_desk.read(["satisfaction"])
        with self.assertRaises(AccessError):
            as_desk.search([("satisfaction", "=", "unhappy")])
        self._answer(self.amal, score=2, call=False)
        as_desk.invalidate_recordset()
        self.assertFalse(as_desk.satisfaction_text)
        self.assertIn("Unhappy", self.amal.with_user(self.manager).satisfaction_text)

    def test_marketing_does_not_see_who_was_asked_about_a_service(self):
        self.env["library.service.usage"].create(
            {
                "patron_id": self.amal.id,
                "service_id": self.visit.id,
                "branch_id": self.main.id,
            }
        )
        used = self._make_round(kind="service", service_id=self.visit.id)
        chosen = self._make_round(self.bruno)
        (used + chosen).action_start()
        self._run_job()
        traces = self.env["mailing.trace"].with_user(self.marketing)
        found = traces.search(
            [("mass_mailing_id", "in", (used + chosen).mailing_id.ids)]
        )
        self.assertEqual(found.library_patron_id.ids, self.bruno.ids)

    def test_marketing_can_not_choose_by_satisfaction(self):
        with self.assertRaises(AccessError):
            self.env["library.segment"].with_user(self.marketing).create(
                {"name": "Guess", "domain": "[('satisfaction', '=', 'unhappy')]"}
            )
