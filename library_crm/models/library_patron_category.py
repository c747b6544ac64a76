from odoo import fields, models


class LibraryPatronCategory(models.Model):
    """A kind of patron (adult, child, student …), as the library system codes it."""

    _name = "library.patron.category"
    _description = "Patron Category"
    _order = "sequence, name, id"
    _rec_names_search = ["name", "code"]
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    code = fields.Char(
        required=True,
        help="The category code of the integrated library system, e.g. ADULT.",
    )
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    kind = fields.Selection(
        [
            ("adult", "Adult"),
            ("child", "Child"),
            ("young_adult", "Young adult"),
            ("student", "Student"),
            ("faculty", "Faculty"),
            ("staff", "Staff"),
            ("institution", "Institution"),
        ],
        required=True,
        default="adult",
    )
    age_min = fields.Integer(string="From Age", help="In full years; 0: no limit.")
    age_max = fields.Integer(
        string="To Age", help="In full years, inclusive; 0: no limit."
    )
    plan_id = fields.Many2one(
        "library.membership.plan",
        string="Default Plan",
        check_company=True,
        help="The membership plan that a new patron of this category gets.",
    )
    next_category_id = fields.Many2one(
        "library.patron.category",
        check_company=True,
        help="Where a patron goes who has outgrown the ages of this category.",
    )
    patron_count = fields.Integer(string="Patrons", compute="_compute_patron_count")

    _code_company_uniq = models.UniqueIndex(
        "(code, company_id)",
        "Category code: another patron category already has this code.",
    )
    _age_band = models.Constraint(
        "CHECK (age_min >= 0 AND (age_max = 0 OR age_max >= age_min))",
        "Age: the band must begin at 0 or later and may not end before it begins.",
    )
    _next_is_another = models.Constraint(
        "CHECK (next_category_id IS NULL OR next_category_id != id)",
        "Next category: a category can not follow itself.",
    )

    def _compute_patron_count(self):
        counts = dict(
            self.env["library.patron"]._read_group(
                [("patron_category_id", "in", self.ids)],
                ["patron_category_id"],
                ["__count"],
            )
        )
        for category in self:
            category.patron_count = counts.get(category, 0)
