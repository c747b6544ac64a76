from odoo import fields, models
from odoo.tools import SQL


class LibraryAcquisitionReport(models.Model):
    """How people become patrons: from the join form and from requests at the desk to
    the card, one row for each who asked. It names nobody.

    Who filled in the form and never confirmed is a row without a stage.
    """

    _name = "library.acquisition.report"
    _description = "Acquisition"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "date"

    date = fields.Datetime(string="Asked on", readonly=True)
    company_id = fields.Many2one("res.company", string="Library", readonly=True)
    branch_id = fields.Many2one("library.branch", readonly=True)
    patron_category_id = fields.Many2one(
        "library.patron.category", string="Category", readonly=True
    )
    source_id = fields.Many2one("utm.source", readonly=True)
    medium_id = fields.Many2one("utm.medium", readonly=True)
    campaign_id = fields.Many2one("utm.campaign", readonly=True)
    heard_of = fields.Selection(
        lambda self: (
            self.env["library.join"]
            ._fields["heard_of"]
            ._description_selection(self.env)
        ),
        string="Heard of Us",
        readonly=True,
    )
    way = fields.Selection(
        [("form", "Join form"), ("staff", "Through the staff")],
        string="How They Asked",
        readonly=True,
    )
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
    joined_rate = fields.Float(
        string="Rate (%)",
        readonly=True,
        aggregator="avg",
        help="Of a hundred who asked, how many joined.",
    )
    days_to_card = fields.Float(
        readonly=True, aggregator="avg", help="From the first word to the card."
    )

    _depends = {
        "crm.lead": [
            *("library_request_kind", "company_id", "library_branch_id", "stage_id"),
            *("library_patron_id", "source_id", "medium_id", "campaign_id"),
            *("won_status", "date_closed", "create_date", "lost_reason_id"),
        ],
        "library.join": [
            *("state", "company_id", "branch_id", "patron_category_id", "lead_id"),
            *("source_id", "medium_id", "campaign_id", "heard_of", "create_date"),
            "closed_on",
        ],
        "library.patron": ["patron_category_id"],
        "library.branch": ["company_id"],
    }

    @property
    def _table_query(self):
        """Cost: one pass over the joining requests and over the forms."""
        return SQL(
            """
            SELECT enquiry.*,
                   1 AS asked,
                   (outcome != 'asked')::int AS confirmed,
                   (outcome = 'joined')::int AS joined,
                   (outcome = 'refused')::int AS refused,
                   CASE WHEN outcome = 'joined' THEN 100.0 ELSE 0.0 END AS joined_rate,
                   CASE WHEN outcome = 'joined'
                        THEN EXTRACT(EPOCH FROM card_on - date) / 86400
                   END AS days_to_card
              FROM (
                    SELECT COALESCE(2 * lead.id, 2 * filled.id + 1) AS id,
                           COALESCE(filled.create_date, lead.create_date) AS date,
                           COALESCE(
                               lead.company_id, branch.company_id, filled.company_id
                           ) AS company_id,
                           COALESCE(lead.library_branch_id, filled.branch_id)
                               AS branch_id,
                           COALESCE(
                               patron.patron_category_id, filled.patron_category_id
                           ) AS patron_category_id,
                           COALESCE(lead.source_id, filled.source_id) AS source_id,
                           COALESCE(lead.medium_id, filled.medium_id) AS medium_id,
                           COALESCE(lead.campaign_id, filled.campaign_id)
                               AS campaign_id,
                           filled.heard_of,
                           CASE WHEN filled.id IS NULL THEN 'staff' ELSE 'form' END
                               AS way,
                           lead.stage_id,
                           lead.lost_reason_id,
                           CASE WHEN lead.won_status = 'won' THEN 'joined'
                                WHEN lead.won_status = 'lost' THEN 'refused'
                                WHEN lead.id IS NOT NULL THEN 'open'
                                WHEN filled.state = 'done' THEN 'joined'
                                WHEN filled.state = 'refused' THEN 'refused'
                                WHEN filled.state = 'confirmed' THEN 'open'
                                ELSE 'asked'
                           END AS outcome,
                           COALESCE(lead.date_closed, filled.closed_on) AS card_on
                      FROM (
                            SELECT *
                              FROM crm_lead
                             WHERE library_request_kind = 'joining'
                           ) lead
                 FULL JOIN library_join filled
                        ON filled.lead_id = lead.id
                 LEFT JOIN library_branch branch
                        ON branch.id = lead.library_branch_id
                 LEFT JOIN library_patron patron
                        ON patron.id = lead.library_patron_id
                   ) enquiry
            """
        )
