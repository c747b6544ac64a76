from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, formatLang


class LibraryPeerBand(models.Model):
    """Libraries that serve about as many people: from a number up to the next band.
    Figures are compared within a band."""

    _name = "library.peer.band"
    _description = "Population Band"
    _order = "lower, id"
    _rec_name = "lower"
    _library_personal_data = {"*": "setting"}

    lower = fields.Integer(
        string="People, from",
        required=True,
        help="Up to where the next band begins.",
    )

    _lower_uniq = models.UniqueIndex(
        "(lower)", "Population band: another one begins there already."
    )
    _lower_not_negative = models.Constraint(
        "CHECK (lower >= 0)", "People: the number can not be below zero."
    )

    @api.depends("lower")
    @api.depends_context("lang")
    def _compute_display_name(self):
        starts = self.search(Domain.TRUE).mapped("lower")
        for band in self:
            following = next((start for start in starts if start > band.lower), None)
            lower, upper = (
                formatLang(self.env, number or 0, digits=0)
                for number in (band.lower, following)
            )
            if following is None:
                band.display_name = self.env._("%s people and more", lower)
            elif not band.lower:
                band.display_name = self.env._("fewer than %s people", upper)
            else:
                band.display_name = self.env._(
                    "%(lower)s to %(upper)s people", lower=lower, upper=upper
                )

    def _search_display_name(self, operator, value):
        """The name is made of numbers: it is looked for in the few that there are."""
        if operator != "ilike":
            return NotImplemented
        bands = self.search(Domain.TRUE).filtered(
            lambda band: value.lower() in band.display_name.lower()
        )
        return [("id", "in", bands.ids)]

    @api.model_create_multi
    def create(self, vals_list):
        bands = super().create(vals_list)
        self._place()
        return bands

    def write(self, vals):
        result = super().write(vals)
        self._place()
        return result

    def unlink(self):
        result = super().unlink()
        self._place()
        return result

    @api.model
    def _find(self, population):
        """The band of a number of people, or none."""
        return self.search([("lower", "<=", population)], order="lower DESC", limit=1)

    @api.model
    def _place(self, peer_sets=None):
        """Put the libraries of data sets into their bands, of all sets if none is
        given. Cost: one pass over them; those that stay are not written."""
        Peer = self.env["library.peer"]
        self.flush_model()
        Peer.flush_model(["population", "band_id", "set_id"])
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_peer peer
                   SET band_id = placed.band_id
                  FROM (
                        SELECT peer.id, (
                                   SELECT band.id
                                     FROM library_peer_band band
                                    WHERE band.lower <= peer.population
                                 ORDER BY band.lower DESC
                                    LIMIT 1
                               ) AS band_id
                          FROM library_peer peer
                         WHERE %s
                       ) placed
                 WHERE placed.id = peer.id
                   AND placed.band_id IS DISTINCT FROM peer.band_id
                """,
                SQL("peer.set_id = ANY(%s)", peer_sets.ids)
                if peer_sets is not None
                else SQL("TRUE"),
            )
        )
        Peer.invalidate_model(["band_id"])
        self.invalidate_model(["display_name"])
