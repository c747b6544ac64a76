from odoo import fields, models
from odoo.tools import SQL


class LibraryAcquisitionReport(models.Model):
    """How people become patrons: from the join form and from requests at the desk to
    the card, one row for each who asked.

    Who filled in the form and never confirmed is a row without a stage.
    """

    _name = "library.acquisition.report"
    _description = "Acquisition"
    _inherit = ["library.acquisition.mixin", "library.ratio.mixin"]
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "date"
    _ratios = {"joined_rate": ("joined", "asked"), "used_rate": ("used", "joined")}

    stage_id = fields.Many2one("crm.stage", readonly=True)
    lost_reason_id = fields.Many2one(
        "crm.lost.reason", string="Why Dropped", readonly=True
    )
    outcome = fields.Selection(
        [
            ("asked", "Not confirmed"),
            ("open", "In work"),
            ("joined", "Joined"),
            ("refused", "Dropped"),
        ],
        readonly=True,
    )
    asked = fields.Integer(string="Enquiries", readonly=True)
    confirmed = fields.Integer(
        readonly=True, help="By the mail, or because they talked to the staff."
    )
    joined = fields.Integer(readonly=True)
    refused = fields.Integer(string="Dropped", readonly=True)
    used = fields.Integer(
        string="Used a Service",
        readonly=True,
        help="Since they joined, however long ago that is.",
    )
    joined_rate = fields.Float(
        string="Rate (%)",
        readonly=True,
        aggregator="avg",
        help="Of a hundred who asked, how many joined.",
    )
    used_rate = fields.Float(
        string="Used a Service (%)",
        readonly=True,
        aggregator="avg",
        help="Of a hundred who joined, how many have used a service since.",
    )
    days_to_card = fields.Float(
        readonly=True, aggregator="avg", help="From the first word to the card."
    )

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT enquiry.*,
                   CASE WHEN outcome = 'joined'
                        THEN EXTRACT(EPOCH FROM card_on - date) / 86400
                   END AS days_to_card,
                   %(ratios)s
              FROM (SELECT *, 1 AS asked FROM (%(enquiries)s) counted) enquiry
            """,
            enquiries=self._query_enquiries(),
            ratios=self._sql_ratios(),
        )
