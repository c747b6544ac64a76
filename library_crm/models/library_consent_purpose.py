from odoo import fields, models


class LibraryConsentPurpose(models.Model):
    """What the library may use a patron's data for."""

    _name = "library.consent.purpose"
    _description = "Consent Purpose"
    _order = "sequence, id"
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    code = fields.Char(required=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    kind = fields.Selection(
        [
            ("service", "Service messages"),
            ("marketing", "Marketing"),
            ("survey", "Surveys"),
            ("profiling", "Profiling"),
        ],
        required=True,
        default="marketing",
    )
    is_refusable = fields.Boolean(
        string="Needs Consent",
        default=True,
        help="Off for messages that belong to the service itself, such as the end "
        "of a membership.",
    )
    description = fields.Text(
        string="Wording",
        translate=True,
        help="What the patron is asked to agree to.",
    )
    wording_version = fields.Char(
        default="1",
        required=True,
        help="Changed with the wording; each consent remembers which one it was.",
    )

    _code_uniq = models.UniqueIndex(
        "(code)", "Purpose code: another purpose already has this code."
    )
