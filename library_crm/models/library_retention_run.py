from odoo import api, fields, models


class LibraryRetentionRun(models.Model):
    """What a retention rule did: one row a batch, only added to. It counts rows and
    names nobody, so it is kept for ever."""

    _name = "library.retention.run"
    _description = "What a Retention Rule Did"
    _order = "date desc, id desc"
    _rec_name = "kind"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    rule_id = fields.Many2one(
        "library.retention.rule", readonly=True, index=True, ondelete="set null"
    )
    company_id = fields.Many2one(
        "res.company", string="Library", readonly=True, ondelete="set null"
    )
    kind = fields.Selection(
        lambda self: (
            self.env["library.retention.rule"]
            ._fields["kind"]
            ._description_selection(self.env)
        ),
        string="Data",
        required=True,
        readonly=True,
    )
    action = fields.Selection(
        lambda self: (
            self.env["library.retention.rule"]
            ._fields["action"]
            ._description_selection(self.env)
        ),
        string="What Happened",
        required=True,
        readonly=True,
    )
    date = fields.Datetime(
        string="When", required=True, readonly=True, default=fields.Datetime.now
    )
    before = fields.Date(
        string="Older Than", readonly=True, help="What was older than this day went."
    )
    count = fields.Integer(string="Rows", readonly=True, aggregator="sum")
    seconds = fields.Float(readonly=True, digits=(16, 1), aggregator="sum")
    failure = fields.Char(readonly=True, help="Which error; then nothing happened.")

    _date_idx = models.Index("(date DESC, id DESC)")

    @api.depends("kind")
    @api.depends_context("lang")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for run in self:
            run.display_name = labels.get(run.kind, run.kind)
