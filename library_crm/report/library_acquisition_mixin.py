from odoo import fields, models
from odoo.tools import SQL


class LibraryAcquisitionMixin(models.AbstractModel):
    """Somebody who asked for a card, as reports see it: when, where, on which way they
    heard of it, and what came of it. It names nobody."""

    _name = "library.acquisition.mixin"
    _description = "Who Asked for a Card"

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
        "library.patron": ["patron_category_id", "last_use_date"],
        "library.branch": ["company_id"],
    }

    def _query_enquiries(self):
        """Joining requests with the forms that they came from, and forms that are not
        confirmed, one row each: the fields of the report, and as 0 or 1 whether they
        were ``confirmed``, ``joined``, ``refused`` and have ``used`` a service since.

        Cost: one pass over the joining requests and over the forms.
        """
        return SQL(
            """
            SELECT enquiry.*,
                   (outcome != 'asked')::int AS confirmed,
                   (outcome = 'joined')::int AS joined,
                   (outcome = 'refused')::int AS refused,
                   -- The day of the card may be one later in UTC than at the library.
                   (outcome = 'joined'
                    AND coalesce(last_use_date >= card_on::date - 1, FALSE))::int
                       AS used
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
                           COALESCE(lead.date_closed, filled.closed_on) AS card_on,
                           patron.last_use_date
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
