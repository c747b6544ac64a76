from odoo import fields, models
from odoo.tools import SQL


class LibraryAcquisitionFunnel(models.Model):
    """The way from the first word to the first use of a service, step by step: one row
    for each step that somebody who asked for a card has reached. So each step has at
    most as many as the one before, and where many are lost is seen at a glance."""

    _name = "library.acquisition.funnel"
    _description = "Acquisition Funnel"
    _inherit = "library.acquisition.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "step"

    # In the order of the keys, which is that of the columns of a graph.
    step = fields.Selection(
        [
            ("1_asked", "Asked"),
            ("2_confirmed", "Confirmed"),
            ("3_joined", "Became a patron"),
            ("4_used", "Used a service"),
        ],
        readonly=True,
    )
    people = fields.Integer(
        readonly=True, help="How many reached the step, out of those who asked."
    )

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT 4 * enquiry.id + step.number AS id, date, company_id, branch_id,
                   patron_category_id, source_id, medium_id, campaign_id, heard_of,
                   way, step.name AS step, 1 AS people
              FROM (%(enquiries)s) enquiry
              JOIN LATERAL (
                       VALUES (0, '1_asked', 1),
                              (1, '2_confirmed', confirmed),
                              (2, '3_joined', joined),
                              (3, '4_used', used)
                   ) step (number, name, is_reached) ON step.is_reached = 1
            """,
            enquiries=self._query_enquiries(),
        )
