from odoo import fields, models
from odoo.tools.misc import get_lang


class LibraryErasure(models.Model):
    """That somebody was erased: what was removed, what was kept and why, and never who
    it was. Nobody changes it."""

    _name = "library.erasure"
    _description = "Erasure"
    _order = "date desc, id desc"
    _rec_name = "date"
    _log_access = False
    _library_personal_data = {"*": "erased"}

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    date = fields.Date(
        string="Erased on",
        required=True,
        readonly=True,
        default=fields.Date.context_today,
    )
    origin = fields.Selection(
        [
            ("staff", "The staff"),
            ("person", "The patron or the guardian"),
            ("retention", "A rule of retention"),
            ("contact", "The contact was deleted"),
        ],
        string="Asked for by",
        required=True,
        readonly=True,
        default="staff",
    )
    patron_count = fields.Integer(
        string="Patrons", required=True, readonly=True, aggregator="sum"
    )
    is_told = fields.Boolean(
        string="Told by Mail",
        readonly=True,
        help="What was removed and kept was sent to the person, before the address was "
        "removed.",
    )
    line_ids = fields.One2many(
        "library.erasure.line",
        "erasure_id",
        string="What Was Removed and Kept",
        readonly=True,
    )
    removed = fields.Integer(compute="_compute_sums")
    kept = fields.Integer(compute="_compute_sums")

    def _compute_sums(self):
        for erasure in self:
            erasure.removed = sum(erasure.line_ids.mapped("removed"))
            erasure.kept = sum(erasure.line_ids.mapped("kept"))

    def _tell(self, email, lang):
        """Send what was removed and kept. The mail is not linked to anybody, and gone
        from here when it is sent."""
        self.ensure_one()
        env = self.with_context(lang=get_lang(self.env, lang).code).env
        company = self.company_id
        sender = company.email_formatted or env.user.email_formatted
        body = env["ir.qweb"]._render(
            "library_crm.library_erasure_letter",
            {"erasure": self.with_env(env), "company": company},
        )
        self.env["mail.mail"].sudo().create(
            {
                "subject": env._(
                    "Your data at %(library)s was erased", library=company.name
                ),
                "email_from": sender,
                "reply_to": sender,
                "email_to": email,
                "body_html": body,
                "auto_delete": True,
            }
        )
        self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()
