from odoo import api, fields, models


class LibraryDemo(models.AbstractModel):
    """Fills the library of the demo data with people and three years of use.

    The demo files call it after branches, plans and users; nothing else does, and the
    code that makes the data is imported only then.
    """

    _name = "library.demo"
    _description = "Demo Library"

    _SEED = 1907

    @api.model
    def _make(self):
        """Make the demo library once; where it is already there, nothing happens."""
        if self.env.ref("library_crm.demo_patron_1", raise_if_not_found=False):
            return
        from ..demo.library import DemoLibrary  # noqa: PLC0415
        from ..demo.library_journeys import DemoJourneys  # noqa: PLC0415

        company = self.env.ref("base.main_company")
        library = DemoLibrary(
            self.with_company(company).env,
            company,
            self._SEED,
            fields.Date.context_today(self),
        )
        library.add_named_family()
        library.make()
        library.make_mailing_traces()
        library.make_engagement()
        DemoJourneys(library).make()
        library.make_places()
        library.make_reports()
        library.name_records()

    @api.model
    def _make_peers(self):
        """Fill the data sets of invented libraries that the demo library is compared
        with."""
        from ..demo.peers import make_peers  # noqa: PLC0415

        for name, growth in (("earlier", 1), ("now", 1.03)):
            peer_set = self.env.ref(f"library_crm.library_peer_set_{name}")
            rows = make_peers(self._SEED, growth)
            peer_set._merge(rows, {figure for row in rows for figure in row["figures"]})
        self.env["library.peer.band"]._place()
