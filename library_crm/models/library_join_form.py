from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.fields import Command


class LibraryJoinForm(models.Model):
    """The public page on which people ask for a card: one for each library.

    It says who may join (the rules), what is said above the questions, and whether the
    page is there at all.
    """

    _name = "library.join.form"
    _description = "Join Form"
    _rec_name = "company_id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        ondelete="cascade",
        default=lambda self: self.env.company,
    )
    is_open = fields.Boolean(
        string="Open to the Public",
        help="Off: whoever follows the link is told to come to the library.",
    )
    introduction = fields.Text(
        translate=True, help="Said above the first questions of the form."
    )
    minor_age = fields.Integer(
        string="Guardian Needed Below the Age of",
        compute="_compute_minor_age",
        inverse="_inverse_minor_age",
        help="Whoever is younger gives name and email of a guardian, who confirms. It "
        "is the age of own consent of the library, and holds for all that is agreed "
        "to. 0: nobody needs a guardian, unless a rule says so.",
    )
    rule_ids = fields.One2many(
        "library.join.rule",
        "form_id",
        string="Rules",
        default=lambda self: self._default_rule_ids(),
        copy=True,
    )
    url = fields.Char(string="Link", compute="_compute_url")

    _company_uniq = models.UniqueIndex(
        "(company_id)", "Library: it already has a join form."
    )

    @api.model
    def _default_rule_ids(self):
        """What a library begins with: everybody may ask, the staff decide."""
        return [
            Command.create(
                {
                    "name": self.env._("Children, with a guardian"),
                    "sequence": 10,
                    "who": "child",
                    "age_max": 17,
                    "needs_guardian": True,
                }
            ),
            Command.create(
                {
                    "name": self.env._("Nobody joins a grown-up"),
                    "sequence": 20,
                    "who": "child",
                    "outcome": "refused",
                    "answer": self.env._(
                        "Grown-ups ask for their own card. Please choose For me, "
                        "and let them fill in the form."
                    ),
                }
            ),
            Command.create({"name": self.env._("Everybody else"), "sequence": 30}),
        ]

    @api.depends("company_id")
    def _compute_url(self):
        for form in self:
            form.url = (
                f"{form.get_base_url()}/library/join?library={form.company_id.id}"
            )

    @api.depends("company_id.library_minor_age")
    def _compute_minor_age(self):
        for form in self:
            form.minor_age = form.company_id.library_minor_age

    def _inverse_minor_age(self):
        """The managers of a library are no administrators of Odoo."""
        for form in self:
            form.company_id.sudo().library_minor_age = form.minor_age

    @api.model
    def _get_open(self, company, asked=None):
        """The form to show.

        :param company: the library of the page, taken where none is asked for
        :param int asked: id of the library that the link names
        :return: an open form, as superuser; of the only library that has one where
            the page's own has none; empty if there is none to show
        """
        open_forms = self.sudo().search([("is_open", "=", True)])
        if asked:
            return open_forms.filtered(lambda form: form.company_id.id == asked)
        own = open_forms.filtered(lambda form: form.company_id == company)
        return own or (open_forms if len(open_forms) == 1 else open_forms.browse())

    def _get_affiliations(self):
        """What the form asks about studying and working here: what decides.

        :return: pairs of key and label, in the order of the field
        """
        asked = set(self.rule_ids.mapped("affiliation"))
        field = self.env["library.join.rule"]._fields["affiliation"]
        return [
            option
            for option in field._description_selection(self.env)
            if option[0] in asked
        ]

    def _get_age(self, birth_date):
        return relativedelta(fields.Date.context_today(self), birth_date).years

    def _decide(self, *, who, birth_date, zip_code, city, affiliation):
        """
        :return: the first rule that fits; empty if none does, which is a refusal
        """
        self.ensure_one()
        age = self._get_age(birth_date)
        return next(
            (
                rule
                for rule in self.rule_ids
                if rule._fits(
                    who=who,
                    age=age,
                    zip_code=zip_code,
                    city=city,
                    affiliation=affiliation,
                )
            ),
            self.rule_ids.browse(),
        )

    def _needs_guardian(self, rule, who, birth_date):
        """Whether a guardian has to confirm."""
        return (
            who == "child"
            or rule.needs_guardian
            or self.env["library.patron"]._is_younger(birth_date, self.minor_age)
        )

    def action_open_page(self):
        self.ensure_one()
        return {"type": "ir.actions.act_url", "url": self.url, "target": "new"}

    def action_new_link(self):
        """Make a link that tells where people come from: a poster, a class, a post."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Link to the Join Form"),
            "res_model": "link.tracker",
            "view_mode": "form",
            "context": {"default_url": self.url},
        }
