from odoo import api, fields, models
from odoo.tools import SQL


class LibraryLoyaltyDue(models.Model):
    """That a patron's use has changed, and their points are to be reckoned and how far
    they are in challenges.

    A load adds a row for each patron of each of its parts, so that it waits for nobody;
    the job takes them away.
    """

    _name = "library.loyalty.due"
    _description = "Points to Be Reckoned"
    _log_access = False
    _library_personal_data = {"*": "loyalty"}

    #: Patrons who are reckoned in one transaction.
    _BATCH = 50_000

    patron_id = fields.Many2one(
        "library.patron", required=True, index=True, ondelete="cascade"
    )

    @api.model
    def _sql_add(self, patrons):
        """:param SQL patrons: a query of ids of patrons
        :return: the statement that notes those of them who have a card, or take part
            in a challenge that follows their use
        """
        open_ids = self.env["library.challenge"]._get_open_ids(
            fields.Date.context_today(self)
        )
        return SQL(
            """
            INSERT INTO library_loyalty_due (patron_id)
            SELECT touched.patron_id
              FROM (%s) touched (patron_id)
              JOIN loyalty_card card ON card.library_patron_id = touched.patron_id
             WHERE card.is_library AND card.active
             UNION
            SELECT touched.patron_id
              FROM (%s) touched (patron_id)
              JOIN library_challenge_entry entry
                ON entry.patron_id = touched.patron_id
             WHERE entry.challenge_id = ANY(%s)
            """,
            patrons,
            patrons,
            [id_ for ids in open_ids.values() for id_ in ids],
        )

    @api.model
    def _cron_reckon(self):
        """Reckon who is due, batch by batch, each kept by itself."""
        IrCron = self.env["ir.cron"]
        while patron_ids := self._take():
            cards = self.env["loyalty.card"].search(
                [("library_patron_id", "in", patron_ids), ("is_library", "=", True)]
            )
            cards._library_reckon()
            self.env["library.challenge"]._refresh_patrons(
                self.env["library.patron"].browse(patron_ids)
            )
            remaining = self.search_count([], limit=1)
            if not IrCron._commit_progress(len(patron_ids), remaining=remaining):
                return
            self.env.invalidate_all()

    @api.model
    def _take(self):
        """Take the next patrons out of the queue. Rows that another worker has are
        left to it, and rows that come in meanwhile are for the next time."""
        rows = self.env.execute_query(
            SQL(
                """
                WITH part AS (
                    SELECT id
                      FROM library_loyalty_due
                  ORDER BY id
                     LIMIT %s
                FOR UPDATE SKIP LOCKED
                ),
                taken AS (
                    DELETE FROM library_loyalty_due due
                     USING part
                     WHERE due.id = part.id
                 RETURNING due.patron_id
                )
                SELECT DISTINCT patron_id FROM taken
                """,
                self._BATCH,
            )
        )
        self.invalidate_model()
        return [patron_id for (patron_id,) in rows]
