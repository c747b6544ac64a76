from odoo import api, fields, models
from odoo.tools import SQL


class LibrarySurveyRoll(models.Model):
    """A page of the list on which those who have begun to answer are ticked off, as at
    an election: the clerk ticks the name and hands out a blank form.

    All ticks of a page are one value, so the database knows who was ticked and nothing
    of when or in which order: neither a date nor a row of its own, whose number or
    transaction could be laid beside those of an answer.
    """

    _name = "library.survey.roll"
    _description = "Who Has Begun to Answer"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    #: Places a page: few enough that a tick writes little, many enough that most
    #: rounds have a page or a few.
    PLACES = 1000

    round_id = fields.Many2one(
        "library.survey.round", required=True, readonly=True, ondelete="cascade"
    )
    number = fields.Integer(required=True, readonly=True)
    ticks = fields.Char(
        required=True, readonly=True, help="A place each: 1 ticked, 0 not."
    )

    _page_uniq = models.UniqueIndex("(round_id, number)", "This page is there already.")

    @api.model
    def _add_pages(self, asking_round, places):
        """See to it that there are pages for so many places."""
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_survey_roll (round_id, number, ticks)
                SELECT %(round)s, number, repeat('0', %(places)s)
                  FROM generate_series(0, %(last)s) AS number
           ON CONFLICT DO NOTHING
                """,
                round=asking_round.id,
                places=self.PLACES,
                last=(places - 1) // self.PLACES,
            )
        )
        self.invalidate_model()

    @api.model
    def _tick(self, asking_round, place):
        """Tick a place off.

        :param int place: from 1
        :return: whether it was not ticked before
        :rtype: bool
        """
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_survey_roll
                   SET ticks = overlay(ticks PLACING '1' FROM %(spot)s)
                 WHERE round_id = %(round)s AND number = %(number)s
                   AND substr(ticks, %(spot)s, 1) = '0'
                """,
                round=asking_round.id,
                number=(place - 1) // self.PLACES,
                spot=(place - 1) % self.PLACES + 1,
            )
        )
        ticked = bool(self.env.cr.rowcount)
        self.invalidate_model()
        return ticked

    @api.model
    def _sql_is_ticked(self):
        """Whether the place of ``invitation`` is ticked."""
        return SQL(
            """
            EXISTS (
                SELECT FROM library_survey_roll roll
                 WHERE roll.round_id = invitation.round_id
                   AND roll.number = (invitation.place - 1) / %(places)s
                   AND substr(
                           roll.ticks, (invitation.place - 1) %% %(places)s + 1, 1
                       ) = '1'
            )
            """,
            places=self.PLACES,
        )

    @api.model
    def _count(self, asking_round):
        """How many are ticked in a round."""
        [(count,)] = self.env.execute_query(
            SQL(
                """
                SELECT coalesce(sum(length(replace(ticks, '0', ''))), 0)
                  FROM library_survey_roll
                 WHERE round_id = %s
                """,
                asking_round.id,
            )
        )
        return count
