from odoo import fields, models


class LibraryPatronAlias(models.Model):
    """A card or a reference of the library system that was a second patron's, who was
    the same person and was merged into this one.

    The library system may go on sending both; by this both are recognised.
    """

    _name = "library.patron.alias"
    _description = "Former Number of a Patron"
    _rec_name = "card_number"
    _library_personal_data = {"*": "identity"}

    patron_id = fields.Many2one(
        "library.patron", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="patron_id.company_id", store=True)
    card_number = fields.Char(readonly=True)
    ils_ref = fields.Char(string="ILS Reference", readonly=True)

    _card_idx = models.Index("(card_number, company_id) WHERE card_number IS NOT NULL")
    _ils_ref_idx = models.Index("(ils_ref, company_id) WHERE ils_ref IS NOT NULL")
