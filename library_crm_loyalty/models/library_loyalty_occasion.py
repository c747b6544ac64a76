from odoo import api, fields, models


class LibraryLoyaltyOccasion(models.Model):
    """Something that may earn points and leaves no row of use behind: interests were
    filled in, a survey was answered, a friend joined.

    Whoever sees it happen adds it once with ``_note``; rules say what it is worth, and
    when a rule changes it is still known that it happened. What was answered, and who
    the friend is, is not kept here.
    """

    _name = "library.loyalty.occasion"
    _description = "Occasion for Points"
    _order = "date desc, id desc"
    _rec_name = "event"
    _log_access = False
    _library_personal_data = {"*": "loyalty"}

    patron_id = fields.Many2one(
        "library.patron", required=True, index=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="patron_id.company_id", string="Library")
    event = fields.Selection(
        [
            ("survey", "Survey answered"),
            ("interests", "Interests filled in"),
            ("referral", "Friend brought"),
        ],
        required=True,
        readonly=True,
    )
    date = fields.Date(required=True, readonly=True)
    key = fields.Char(
        required=True,
        readonly=True,
        help="Tells occasions of a patron apart, so that none counts twice.",
    )

    _key_uniq = models.UniqueIndex(
        "(patron_id, event, key)", "This occasion was noted already."
    )

    @api.model
    def _merge_patrons(self, kept, others):
        """What happened to both patrons, who are one person, happened once."""
        known = {(noted.event, noted.key) for noted in self._search_of(kept)}
        twins = self.browse()
        for noted in self._search_of(others):
            if (noted.event, noted.key) in known:
                twins += noted
            known.add((noted.event, noted.key))
        twins.unlink()

    @api.model
    def _search_of(self, patrons):
        return self.sudo().search([("patron_id", "in", patrons.ids)], order="id")

    @api.model
    def _note(self, patrons, event, key, date=None):
        """Note an occasion of each patron who takes part, unless it is known, and post
        its points. Of the others nothing is kept: who joins later gets nothing for it.

        :param str key: what tells this occasion from others of the same kind, such as
            the id of the survey
        """
        patrons = (
            self.env["loyalty.card"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [("library_patron_id", "in", patrons.ids), ("is_library", "=", True)]
            )
            .library_patron_id
        )
        known = self.sudo().search(
            [
                ("patron_id", "in", patrons.ids),
                ("event", "=", event),
                ("key", "=", str(key)),
            ]
        )
        patrons -= known.patron_id
        self.sudo().create(
            [
                {
                    "patron_id": patron.id,
                    "event": event,
                    "key": str(key),
                    "date": date
                    or fields.Date.context_today(self.with_company(patron.company_id)),
                }
                for patron in patrons
            ]
        )
        patrons.loyalty_card_ids.filtered("is_library")._library_reckon()
