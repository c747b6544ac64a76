from datetime import date, timedelta

from odoo import api, fields, models
from odoo.tools import SQL, hash_sign, verify_hash_signed


class LibrarySurveyInvitation(models.Model):
    """A patron who is asked in a round.

    It says that and on which day somebody was asked, so that nobody is asked too often;
    never what came of it. The rows are written by set-based SQL, in an order drawn by
    lot.
    """

    _name = "library.survey.invitation"
    _description = "Patron Asked"
    _order = "asked_on desc, id desc"
    _rec_name = "patron_id"
    _log_access = False
    _library_personal_data = {"*": "invitation"}

    _SCOPE = "library_crm_survey-voucher"

    round_id = fields.Many2one(
        "library.survey.round",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="round_id.company_id")
    patron_id = fields.Many2one(
        "library.patron",
        readonly=True,
        ondelete="set null",
        help="Empty: erased since; counted all the same.",
    )
    place = fields.Integer(
        required=True,
        readonly=True,
        aggregator=None,
        help="Where the patron stands in the list of the round.",
    )
    state = fields.Selection(
        [("waiting", "Chosen"), ("asked", "Asked"), ("skipped", "Left out")],
        required=True,
        readonly=True,
        default="waiting",
    )
    reason = fields.Selection(
        [
            ("archived", "No patron any more"),
            ("no_consent", "Did not agree"),
            ("refused", "No address, or the same address"),
        ],
        readonly=True,
    )
    asked_on = fields.Date(required=True, readonly=True)
    reminded_on = fields.Date(readonly=True)

    _patron_uniq = models.UniqueIndex(
        "(round_id, patron_id)", "This patron is asked in that round already."
    )
    _place_uniq = models.UniqueIndex(
        "(round_id, place)", "Two patrons can not have one place."
    )
    _patron_idx = models.Index("(patron_id, asked_on) WHERE state != 'skipped'")
    _waiting_idx = models.Index("(round_id, id) WHERE state = 'waiting'")

    # ------------------------------------------------------------
    # WHO WAS ASKED LATELY
    # ------------------------------------------------------------

    @api.model
    def _query_asked_lately(self, days, patrons=None, but_survey=None):
        """The patrons who were asked within so many days, in any survey and any way.

        Cost: one pass over the rows of those days' index.

        :param int days: 0: nobody
        :param patrons: where only these are asked about
        :param but_survey: ``survey.survey`` whose own answers do not count, for a
            reminder
        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        if not days:
            return SQL("(SELECT NULL::integer WHERE FALSE)")
        since = fields.Date.context_today(self) - timedelta(days=days)
        return SQL(
            "(SELECT patron_id FROM (%s) AS asked)",
            self._query_asked_since(since, patrons, but_survey),
        )

    @api.model
    def _get_days_of_last(self, patrons):
        """When some patrons were asked last, in any survey and any way.

        :return: days by the id of the patron
        """
        return dict(
            self.env.execute_query(
                SQL(
                    "SELECT patron_id, max(day) FROM (%s) AS asked GROUP BY patron_id",
                    self._query_asked_since(date.min, patrons),
                )
            )
        )

    @api.model
    def _query_asked_since(self, since, patrons=None, but_survey=None):
        """:return: SQL that gives a patron id and a day for each time that somebody was
        asked after a day; arguments as above"""
        self.flush_model()
        self.env["survey.user_input"].flush_model(
            ["library_patron_id", "survey_id", "test_entry"]
        )
        return SQL(
            """
                SELECT patron_id, asked_on AS day
                  FROM library_survey_invitation
                 WHERE asked_on > %(since)s AND state != 'skipped'
                   AND patron_id %(among)s
                 UNION ALL
                SELECT library_patron_id, create_date::date
                  FROM survey_user_input
                 WHERE create_date >= %(after)s AND test_entry IS NOT TRUE
                   AND library_patron_id %(among)s
                   AND survey_id != %(survey)s
            """,
            since=since,
            after=since + timedelta(days=1),
            among=SQL("IS NOT NULL")
            if patrons is None
            else SQL("= ANY(%s)", list(patrons.ids)),
            survey=but_survey.id if but_survey else 0,
        )

    # ------------------------------------------------------------
    # THE VOUCHER
    # ------------------------------------------------------------

    def _get_voucher(self):
        """What the link in the mail carries: for one form, to be handed in at the
        door. Nothing of it is stored."""
        self.ensure_one()
        return hash_sign(self.env(su=True), self._SCOPE, [self.id, self.place])

    @api.model
    def _find_by_voucher(self, asking_round, voucher):
        """Whose voucher it is.

        :return: the invitation as superuser; none if it is forged or of another round
        """
        Invitation = self.sudo()
        try:
            signed = verify_hash_signed(Invitation.env, self._SCOPE, voucher or "")
        except ValueError:
            signed = None
        if not signed:
            return Invitation.browse()
        number, place = signed
        return (
            Invitation.browse(number)
            .exists()
            .filtered(
                lambda row: (
                    row.round_id == asking_round
                    and row.place == place
                    and row.patron_id
                    and row.state == "asked"
                )
            )
        )

    # ------------------------------------------------------------
    # MERGING
    # ------------------------------------------------------------

    @api.model
    def _merge_patrons(self, kept, others):
        """Before patrons are merged: of two invitations to a round one stays. To be
        called with sudo."""
        found = self.search([("patron_id", "in", (kept + others).ids)])
        for group in found.grouped("round_id").values():
            ordered = group.sorted(
                lambda row: (row.state != "asked", row.patron_id != kept, row.id)
            )
            ordered[1:].patron_id = False
