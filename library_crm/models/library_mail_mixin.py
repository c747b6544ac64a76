from odoo import api, fields, models


class LibraryMailMixin(models.AbstractModel):
    """Something of a patron about which they get mail, such as a loyalty card.

    Mail about it is mail to its patron: whoever reads that reads this, so of a child
    the guardian, and the ledger of consent is asked as it is for a mail to the patron.
    """

    _name = "library.mail.mixin"
    _description = "Of a Patron Who Gets Mail about It"

    #: The field that leads to the patron, stored; where it is empty, the contact of the
    #: record is asked as other contacts are.
    _library_patron_field = "patron_id"

    library_reader_id = fields.Many2one(
        "res.partner",
        string="Reads Mail about It",
        compute="_compute_library_reader_id",
        compute_sudo=True,
        help="The patron; of a child the guardian.",
    )

    @api.depends(lambda self: (self._library_patron_field,))
    def _compute_library_reader_id(self):
        readers = self._mail_get_partners()
        for record in self:
            record.library_reader_id = readers[record.id][:1]

    def _mail_get_partners(self, introspect_fields=False):
        partners = super()._mail_get_partners(introspect_fields=introspect_fields)
        name = self._library_patron_field
        recipients = self.sudo()[name]._get_mail_recipients()
        for record in self:
            if recipient := recipients.get(record.sudo()[name]):
                partners[record.id] = recipient.partner_id.sudo(self.env.su)
        return partners
