from ast import literal_eval

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from .library_service_usage import FEWEST_PATRONS


class LibraryCluster(models.Model):
    """A kind of user that a librarian recognises: families, readers of e-books only,
    those who come for the computers.

    Each patron belongs to the first cluster whose rules fit the use of the last 12
    months, or to none. Who has used nothing belongs to none.
    """

    _name = "library.cluster"
    _inherit = ["library.cache.mixin"]
    _description = "Cluster of Patrons"
    _order = "sequence, id"
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        index="btree_not_null",
        help="Empty: for all libraries.",
    )
    description = fields.Text(
        translate=True, help="Who they are, and what may be done for them."
    )
    patron_domain = fields.Char(
        string="Patrons",
        required=True,
        default="[]",
        help="Who may belong to it at all.",
    )
    condition_ids = fields.One2many(
        "library.use.condition", "cluster_id", string="Use", copy=True
    )
    patron_count = fields.Integer(string="Patrons in It", compute="_compute_count")
    patron_share = fields.Float(
        string="Of Those in a Cluster", compute="_compute_count"
    )

    @api.constrains("patron_domain")
    def _check_patron_domain(self):
        for cluster in self:
            try:
                domain = Domain(literal_eval(cluster.patron_domain))
                self.env["library.patron"]._check_mailing_domain(domain)
            except (ValueError, SyntaxError, KeyError) as error:
                raise ValidationError(
                    self.env._(
                        "Patrons of the cluster %(name)s: this can not be read "
                        "(%(reason)s).",
                        name=cluster.name,
                        reason=error,
                    )
                ) from error

    @api.depends_context("uid", "allowed_company_ids")
    def _compute_count(self):
        """Whoever may not see in which cluster somebody is gets figures of five patrons
        or more."""
        Patron = self.env["library.patron"]
        known = Domain("cluster_id", "!=", False)
        fewest = 1
        if not self.env["library.service.usage"].has_access("read"):
            Patron, fewest = Patron.sudo(), FEWEST_PATRONS
            known &= Domain("company_id", "in", self.env.companies.ids)
        counts = {
            cluster: count
            for cluster, count in Patron._read_group(known, ["cluster_id"], ["__count"])
            if count >= fewest
        }
        total = sum(counts.values())
        for cluster in self:
            cluster.patron_count = counts.get(cluster.sudo(Patron.env.su), 0)
            cluster.patron_share = cluster.patron_count / total if total else 0

    def action_view_patrons(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_patron_action"
            ),
            "name": self.name,
            "domain": [("cluster_id", "=", self.id)],
        }

    @api.model
    def _get_for(self, company):
        """The clusters of a library, in their order."""
        return self.search([("company_id", "in", (company.id, False))])
