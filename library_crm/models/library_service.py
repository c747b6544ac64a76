from odoo import fields, models


class LibraryService(models.Model):
    """Something the library does for people, counted one use at a time."""

    _name = "library.service"
    _inherit = ["library.cache.mixin"]
    _description = "Library Service"
    _order = "sequence, name, id"
    _rec_names_search = ["name", "code"]
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    code = fields.Char(required=True, help="The code by which loads find it.")
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        index="btree_not_null",
        help="Empty: all libraries offer it.",
    )
    category = fields.Selection(
        [
            ("lending", "Lending"),
            ("digital", "Digital lending"),
            ("eresource", "E-resources"),
            ("visit", "Visits"),
            ("reference", "Reference and consultation"),
            ("computing", "Computers and wi-fi"),
            ("room", "Rooms"),
            ("programme", "Programmes"),
            ("ill", "Inter-library loan"),
            ("printing", "Printing and copying"),
            ("other", "Other"),
        ],
        required=True,
        default="other",
    )
    channel = fields.Selection(
        [("onsite", "On site"), ("online", "Online"), ("outreach", "Outreach")],
        required=True,
        default="onsite",
    )
    indicator = fields.Selection(
        [
            ("loans", "Loans"),
            ("visits", "Visits"),
            ("eresource_uses", "E-resource uses"),
            ("attendances", "Attendances"),
            ("enquiries", "Enquiries"),
            ("internet_sessions", "Internet sessions"),
            ("turnaways", "E-resource turn-aways"),
            ("none", "Not counted"),
        ],
        string="Counts for",
        required=True,
        default="none",
        help="The indicator (in the style of ISO 11620) that a use counts for.",
    )
    logged_at_desk = fields.Boolean(
        default=True, help="Staff may log a use of it by hand."
    )

    _code_company_uniq = models.UniqueIndex(
        "(code, COALESCE(company_id, 0))",
        "Service code: another service already has this code.",
    )
