from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL


class LibraryConsent(models.Model):
    """The ledger of what patrons agreed to and took back.

    Rows are added and never changed. What holds today for a patron, a purpose and a
    channel is what the newest row says; without a row nothing was agreed. The newest
    is that of the latest date, so an old paper that is entered today does not undo
    what the patron said since.
    """

    _name = "library.consent"
    _description = "Consent"
    _order = "date desc, id desc"
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
        [
            ("given", "Given"),
            ("asked", "To be confirmed"),
            ("withdrawn", "Withdrawn"),
        ],
        required=True,
        default="given",
        help="To be confirmed: given for an address that has not proved yet to be the "
        "patron's.",
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
            ("paper", "On paper"),
            ("portal", "In the portal"),
            ("form", "On a form of the website"),
            ("import", "From a file"),
            ("mail", "By a link in a mail"),
            ("address", "The address changed"),
            ("bounce", "Mail came back"),
            ("complaint", "Complaint of spam"),
        ],
        string="How",
        required=True,
        default="desk",
    )
    proof = fields.Text(
        readonly=True,
        help="Where and how it was given, for whoever has to show it.",
    )
    wording_version = fields.Char(
        compute="_compute_wording_version", store=True, precompute=True
    )

    _current_idx = models.Index("(purpose_id, channel, patron_id, date DESC, id DESC)")

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

    # ------------------------------------------------------------
    # WHAT HOLDS
    # ------------------------------------------------------------

    @api.model
    def _get_newest(self, patrons, purposes=None, channels=None):
        """The rows that say what holds.

        :param patrons: ``library.patron``
        :param purposes: ``library.consent.purpose``; empty: all
        :param channels: list of channels; empty: all
        :return: the newest row by (patron id, purpose id, channel)
        :rtype: dict[tuple[int, int, str], library.consent]
        """
        domain = Domain("patron_id", "in", patrons.ids)
        if purposes is not None:
            domain &= Domain("purpose_id", "in", purposes.ids)
        if channels is not None:
            domain &= Domain("channel", "in", channels)
        return {
            (consent.patron_id.id, consent.purpose_id.id, consent.channel): consent
            for consent in self.search(domain, order="date, id")
        }

    @api.model
    def _get_agreed_purposes(self, patrons, channel="email"):
        """What patrons have agreed to.

        :param patrons: ``library.patron``
        :param str channel: ``email``, ``phone`` or ``post``
        :return: purposes by patron id; a patron who agreed to nothing is left out
        :rtype: dict[int, library.consent.purpose]
        """
        agreed = {}
        newest = self._get_newest(patrons, channels=[channel])
        for (patron_id, _purpose_id, _channel), consent in newest.items():
            if consent.state == "given":
                purposes = agreed.get(patron_id, consent.purpose_id.browse())
                agreed[patron_id] = purposes | consent.purpose_id
        return agreed

    @api.model
    def _query_agreed(self, purposes, channel="email", patrons=None):
        """The patrons who have agreed to any of the purposes, as a query.

        Cost: one pass over the index of the ledger for each purpose.

        :param purposes: ``library.consent.purpose``
        :param str channel: ``email``, ``phone`` or ``post``
        :param patrons: where only these are asked about: spares the pass
        :return: SQL that gives patron ids
        :rtype: odoo.tools.SQL
        """
        self.flush_model(["patron_id", "purpose_id", "channel", "state", "date"])
        return SQL(
            """(
                SELECT newest.patron_id
                  FROM (
                        SELECT DISTINCT ON (purpose_id, channel, patron_id)
                               patron_id, state
                          FROM library_consent
                         WHERE purpose_id = ANY(%(purpose_ids)s)
                           AND channel = %(channel)s
                           AND %(among)s
                      ORDER BY purpose_id, channel, patron_id, date DESC, id DESC
                       ) newest
                 WHERE newest.state = 'given'
            )""",
            purpose_ids=list(purposes._ids),
            channel=channel,
            among=SQL("TRUE")
            if patrons is None
            else SQL("patron_id = ANY(%s)", list(patrons._ids)),
        )

    # ------------------------------------------------------------
    # WHAT IS SAID NOW
    # ------------------------------------------------------------

    @api.model
    def _record(
        self,
        patrons,
        purposes,
        channel="email",
        state="given",
        source="desk",
        proof=None,
    ):
        """Add what patrons say now. What holds already, and purposes that need no
        consent, are left out, so the same may be said twice.

        The caller has made sure that the user may speak for these patrons.

        :param patrons: ``library.patron``
        :param purposes: ``library.consent.purpose``
        :param str channel: ``email``, ``phone`` or ``post``
        :param str state: ``given`` or ``withdrawn``
        :param str source: how it was said; a key of the field ``source``
        :param str proof: where and how, for whoever has to show it
        :return: the new rows
        """
        purposes = purposes.filtered("is_refusable")
        newest = self._get_newest(patrons, purposes, [channel])
        return self.create(
            [
                {
                    "patron_id": patron.id,
                    "purpose_id": purpose.id,
                    "channel": channel,
                    "state": state,
                    "source": source,
                    "proof": proof,
                }
                for patron in patrons
                for purpose in purposes
                if newest.get((patron.id, purpose.id, channel), self).state != state
            ]
        )
