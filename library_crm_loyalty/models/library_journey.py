from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .loyalty_history import SPENT_KINDS


class LibraryJourney(models.Model):
    """A journey can follow from points, on the day on which a patron's card first had
    so many, and from a challenge, on the day on which a patron has finished it.

    Both tell what somebody uses, so marketing sees the numbers of such a journey and no
    names, and a manager sets it up.
    """

    _inherit = "library.journey"

    #: The triggers that are added here.
    _LOYALTY_TRIGGERS = ("points", "challenge")

    trigger = fields.Selection(
        selection_add=[
            ("points", "Reached points"),
            ("challenge", "Finished a challenge"),
            ("domain",),
        ],
        ondelete={
            name: lambda journeys: journeys._lose_trigger()
            for name in _LOYALTY_TRIGGERS
        },
    )
    loyalty_program_id = fields.Many2one(
        "loyalty.program",
        string="Programme",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        domain="[('program_type', '=', 'library'), ('company_id', '=', company_id)]",
    )
    loyalty_points = fields.Integer(string="Points on the Card", default=100)
    challenge_id = fields.Many2one(
        "library.challenge",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="Empty: any challenge of the library.",
    )

    _loyalty_points_plausible = models.Constraint(
        "CHECK (trigger != 'points' OR loyalty_points > 0)",
        "Points on the card: 1 or more.",
    )

    @api.constrains("trigger", "loyalty_program_id")
    def _check_loyalty_program(self):
        for journey in self:
            if (
                journey.trigger == "points"
                and journey.loyalty_program_id.program_type != "library"
            ):
                raise ValidationError(
                    self.env._("Programme: points of which programme of the library?")
                )

    def _is_trigger_private(self):
        return super()._is_trigger_private() or self.trigger in self._LOYALTY_TRIGGERS

    # ------------------------------------------------------------
    # WHO ENTERS
    # ------------------------------------------------------------

    @api.model
    def _get_trigger_fields(self):
        fields_ = {"loyalty_program_id", "loyalty_points", "challenge_id"}
        return super()._get_trigger_fields() | fields_

    @api.model
    def _get_past_triggers(self):
        return (*super()._get_past_triggers(), *self._LOYALTY_TRIGGERS)

    @api.model
    def _get_revocable_triggers(self):
        """Points that were not earned after all were never reached. Who has finished a
        challenge has finished, as long as they take part."""
        return (*super()._get_revocable_triggers(), *self._LOYALTY_TRIGGERS)

    def _query_occasions_points(self, first, last):
        """The day on which a card first had the points, as long as they have only been
        spent or expired since, and not been taken back.

        Lines are added and never changed, so the day stays, however late a use comes.
        Cost: a pass over the ledger of the programme, or over one patron's lines where
        one is asked for.
        """
        return SQL(
            """
            SELECT patron_id, min(day) FILTER (WHERE id = reached)
              FROM (
                    SELECT *, min(id) FILTER (WHERE balance >= %(points)s)
                              OVER (PARTITION BY patron_id) AS reached
                      FROM (
                            SELECT card.library_patron_id AS patron_id, history.id,
                                   history.create_date::date AS day,
                                   history.library_kind AS kind,
                                   history.issued - history.used AS points,
                                   sum(history.issued - history.used) OVER (
                                       PARTITION BY card.library_patron_id
                                       ORDER BY history.id
                                   ) AS balance
                              FROM loyalty_card card
                              JOIN loyalty_history history
                                ON history.card_id = card.id
                             WHERE card.program_id = %(programme)s
                               AND card.is_library
                               AND card.active
                               AND card.library_patron_id IS NOT NULL
                           ) line
                   ) line
          GROUP BY patron_id
            HAVING sum(points) FILTER (
                       WHERE id <= reached
                          OR NOT (kind = ANY(%(spent)s) OR kind = 'moved')
                   ) >= %(points)s
            """,
            points=self.loyalty_points,
            programme=self.loyalty_program_id.id,
            spent=list(SPENT_KINDS),
        )

    def _query_occasions_challenge(self, first, last):
        """Each day on which a patron has finished the challenge, or any. A look-up in
        an index where one is asked for."""
        return SQL(
            """
            SELECT patron_id, finished_on
              FROM library_challenge_entry
             WHERE finished_on BETWEEN %s AND %s
               AND %s
          GROUP BY 1, 2
            """,
            first,
            last,
            SQL("challenge_id = %s", self.challenge_id.id)
            if self.challenge_id
            else SQL("company_id = %s", self.company_id.id),
        )
