from odoo import api, fields, models
from odoo.tools import SQL


class LibraryBadgeAward(models.Model):
    """A patron has a badge. It is theirs for good: also when the challenge that it is
    for is archived, and when the use that it was for is corrected."""

    _name = "library.badge.award"
    _description = "Badge of a Patron"
    _order = "awarded_on desc, id desc"
    _rec_name = "badge_id"
    _check_company_auto = True
    _library_personal_data = {"*": "challenge"}

    badge_id = fields.Many2one(
        "library.badge",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    patron_id = fields.Many2one(
        "library.patron",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="badge_id.company_id", store=True, precompute=True, string="Library"
    )
    challenge_id = fields.Many2one(
        "library.challenge",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Empty: given by staff.",
    )
    awarded_on = fields.Date(
        string="Since", required=True, default=fields.Date.context_today
    )

    _badge_uniq = models.UniqueIndex(
        "(patron_id, badge_id)", "Badge: the patron has it already."
    )

    @api.model_create_multi
    def create(self, vals_list):
        awards = super().create(vals_list)
        # Numbers can be guessed: naming a patron must not tell who it is.
        awards.patron_id.check_access("read")
        return awards

    def write(self, vals):
        result = super().write(vals)
        self.patron_id.check_access("read")
        return result

    @api.model
    def _award(self, challenge, entries):
        """Give the badge of a challenge to those who take part in it with these
        entries, unless they have it. Cost: one statement."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_badge_award (
                       badge_id, patron_id, company_id, challenge_id, awarded_on,
                       create_uid, create_date, write_uid, write_date
                       )
                SELECT %(badge)s, patron_id, %(company)s, challenge_id, finished_on,
                       %(user)s, %(now)s, %(user)s, %(now)s
                  FROM library_challenge_entry
                 WHERE id = ANY(%(entries)s)
           ON CONFLICT (patron_id, badge_id) DO NOTHING
                """,
                badge=challenge.badge_id.id,
                company=challenge.company_id.id,
                user=self.env.uid,
                now=fields.Datetime.now(),
                entries=entries.ids,
            )
        )
        self.invalidate_model()
        self.env["library.badge"].invalidate_model(["award_ids", "award_count"])
        self.env["library.patron"].invalidate_model(["badge_award_ids"])

    @api.model
    def _merge_patrons(self, kept, others):
        """Before patrons are merged: of two awards of a badge the first one stays. To
        be called with sudo."""
        awards = self.search([("patron_id", "in", (kept + others).ids)])
        for group in awards.grouped("badge_id").values():
            group.sorted(lambda award: (award.awarded_on, award.id))[1:].unlink()
