from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.library_crm.tests.common import LibraryCommon


@tagged("post_install", "-at_install")
class TestSurveyInvite(LibraryCommon):
    """Amal agreed to surveys, Bruno to news only."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for patron, purpose in [(cls.amal, "survey"), (cls.bruno, "news")]:
            cls.env["library.consent"]._record(
                patron, cls.env.ref(f"library_crm.library_consent_purpose_{purpose}")
            )
        cls.survey = cls.env["survey.survey"].create(
            {"title": "How was your visit?", "library_company_id": cls.library.id}
        )
        cls.both = (cls.amal + cls.bruno).partner_id

    def _invite(self, survey=None, **values):
        return self.env["survey.invite"].create(
            {
                "survey_id": (survey or self.survey).id,
                "template_id": self.env.ref(
                    "survey.mail_template_user_input_invite"
                ).id,
                **values,
            }
        )

    def _invited(self, survey):
        answers = survey.user_input_ids
        return sorted(answer.email or answer.partner_id.email for answer in answers)

    def test_patrons_who_did_not_agree_to_surveys_are_not_invited(self):
        invite = self._invite(
            partner_ids=self.both.ids, emails="a.stranger@test.example.com"
        )
        self.assertIn("1 of 3", invite.library_reach)
        invite.action_invite()
        self.assertEqual(
            self._invited(self.survey),
            ["a.stranger@test.example.com", "amal.idris@test.example.com"],
        )

    def test_who_takes_it_back_is_not_sent_an_invitation_that_waits(self):
        before = self.env["mail.mail"].search([])
        self._invite(
            partner_ids=self.both.ids, emails="a.stranger@test.example.com"
        ).action_invite()
        mails = self.env["mail.mail"].search([]) - before
        self.assertEqual(set(mails.mapped("state")), {"outgoing"})
        hers = mails.filtered("recipient_ids")
        surveys = self.env.ref("library_crm.library_consent_purpose_survey")
        self.env["library.consent"]._record(self.amal, surveys, state="withdrawn")
        self.assertEqual(hers.state, "cancel")
        self.assertEqual((mails - hers).state, "outgoing")

    def test_invitation_to_an_address_is_asked_about_again_when_it_leaves(self):
        self.amal.partner_id.email = "amal@new.example.com"
        before = self.env["mail.mail"].search([])
        self._invite(emails="amal.idris@test.example.com").action_invite()
        (mail,) = self.env["mail.mail"].search([]) - before
        self.bruno.partner_id.email = "amal.idris@test.example.com"
        mail.send()
        self.assertEqual(mail.state, "cancel", "It is Bruno's address now")

    def test_address_of_a_patron_is_a_patron(self):
        self.bruno.active = False
        self.bruno.partner_id.active = False
        with self.assertRaisesRegex(UserError, "none of them agreed"):
            self._invite(emails="Bruno.Silva@test.example.com").action_invite()

    def test_exam_of_the_staff_is_not_asked_about(self):
        exam = self.env["survey.survey"].create(
            {"title": "Exam", "survey_type": "assessment"}
        )
        invite = self._invite(exam, partner_ids=self.both.ids)
        self.assertFalse(invite.library_reach)
        invite.action_invite()
        self.assertEqual(len(self._invited(exam)), 2)
