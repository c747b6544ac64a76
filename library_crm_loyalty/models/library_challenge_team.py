from odoo import api, fields, models


class LibraryChallengeTeam(models.Model):
    """A class, a family or a branch that reaches a goal together."""

    _name = "library.challenge.team"
    _description = "Team of a Challenge"
    _order = "challenge_id, name, id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    challenge_id = fields.Many2one(
        "library.challenge",
        required=True,
        index=True,
        ondelete="cascade",
        domain=[("is_team_goal", "=", True)],
    )
    company_id = fields.Many2one(
        related="challenge_id.company_id", store=True, precompute=True, string="Library"
    )
    name = fields.Char(required=True)
    target = fields.Integer(
        string="Own Target",
        help="0: that of the challenge. A small class may need less.",
    )
    progress = fields.Integer(readonly=True, copy=False)
    goal = fields.Integer(
        string="Target", compute="_compute_goal", help="Own target or the challenge's."
    )
    percent = fields.Float(string="Reached", compute="_compute_goal")
    finished_on = fields.Date(string="Finished", readonly=True, copy=False)
    entry_ids = fields.One2many("library.challenge.entry", "team_id", string="Members")
    member_count = fields.Integer(
        string="Number of Members", compute="_compute_member_count"
    )

    _name_uniq = models.UniqueIndex(
        "(challenge_id, lower(name))", "Team: the challenge has one of this name."
    )
    _target_plausible = models.Constraint(
        "CHECK (target BETWEEN 0 AND 10000000)", "Own target: 0 to 10,000,000."
    )

    @api.depends("target", "progress", "challenge_id.target")
    def _compute_goal(self):
        for team in self:
            team.goal = team.target or team.challenge_id.target
            team.percent = min(100, 100 * team.progress / team.goal) if team.goal else 0

    @api.depends("entry_ids")
    def _compute_member_count(self):
        counts = dict(
            self.env["library.challenge.entry"]
            .sudo()
            ._read_group([("team_id", "in", self.ids)], ["team_id"], ["__count"])
        )
        for team in self:
            team.member_count = counts.get(team.sudo(), 0)
