from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL


class LibraryConsent(models.Model):
    """The ledger of what patrons agreed to and took back.

    Rows are added and never changed. What holds today for a patron, a purpose and a
    channel is what the newest row says; without a row nothing was agreed.
    """

    _name = "library.consent"
    _description = "Consent"
    _order = "id desc"
    _rec_name = "purpose_id"

    patron_id = fields.Many2one(
        "library.patron", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="patron_id.company_id", store=True)
    purpose_id = fields.Many2one(
        "library.consent.purpose",
        required=True,
        ondelete="restrict",
        domain=[("is_refusable", "=", True)],
    )
    channel = fields.Selection(
        [("email", "Email"), ("phone", "Phone"), ("post", "Post")],
        required=True,
        default="email",
    )
    state = fields.Selection(
        [("given", "Given"), ("withdrawn", "Withdrawn")],
        required=True,
        default="given",
    )
    date = fields.Datetime(required=True, readonly=True, default=fields.Datetime.now)
    user_id = fields.Many2one(
        "res.users",
        string="Recorded by",
        readonly=True,
        default=lambda self: self.env.user,
    )
    source = fields.Selection(
        [
            ("desk", "At the desk"),
            ("portal", "In the portal"),
            ("form", "On a form"),
            ("import", "From a load"),
            ("mail", "By a link in a mail"),
        ],
        string="How",
        required=True,
        default="desk",
    )
    wording_version = fields.Char(
        compute="_compute_wording_version",
        store=True,
        precompute=True,
        readonly=False,
        help="Of the wording that the patron saw.",
    )

    _current_idx = models.Index("(purpose_id, channel, patron_id, id DESC)")

    @api.depends("purpose_id")
    def _compute_wording_version(self):
        """Taken when the row is made; a later wording does not change it."""
        for consent in self:
            consent.wording_version = (
                consent.wording_version or consent.purpose_id.wording_version
            )

    def write(self, vals):
        if vals:
            raise UserError(
                self.env._(
                    "Consent: the ledger is only added to. Record a new row to change "
                    "what holds."
                )
            )
        return super().write(vals)

    @api.model
    def _get_agreed_purposes(self, patrons, channel="email"):
        """What patrons have agreed to.

        :param patrons: ``library.patron``
        :param str channel: ``email``, ``phone`` or ``post``
        :return: purposes by patron id; a patron who agreed to nothing is left out
        :rtype: dict[int, library.consent.purpose]
        """
        agreed = {}
        for consent in self.search(
            [("patron_id", "in", patrons.ids), ("channel", "=", channel)],
            order="id",
        ):
            purposes = agreed.get(consent.patron_id.id, consent.purpose_id.browse())
            if consent.state == "given":
                agreed[consent.patron_id.id] = purposes | consent.purpose_id
            else:
                agreed[consent.patron_id.id] = purposes - consent.purpose_id
        return agreed

    @api.model
    def _query_agreed(self, purposes, channel="email"):
        """The patrons who have agreed to any of the purposes, as a query.

        Cost: one pass over the index of the ledger for each purpose.

        :param purposes: ``library.consent.purpose``
        :param str channel: ``email``, ``phone`` or ``post``
        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        self.flush_model(["patron_id", "purpose_id", "channel", "state"])
        return SQL(
            """(
                SELECT newest.patron_id
                  FROM (
                        SELECT DISTINCT ON (purpose_id, channel, patron_id)
                               patron_id, state
                          FROM library_consent
                         WHERE purpose_id = ANY(%(purpose_ids)s)
                           AND channel = %(channel)s
                      ORDER BY purpose_id, channel, patron_id, id DESC
                       ) newest
                 WHERE newest.state = 'given'
            )""",
            purpose_ids=list(purposes._ids),
            channel=channel,
        )
