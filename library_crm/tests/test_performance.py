from datetime import date

from odoo.tests import tagged, users, warmup

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestPerformance(LibraryCommon):
    """Exact numbers of queries, as the desk asks them with warm caches: one more a
    page or a row is a defect. Pages hold 80 patrons, so that a query a row shows."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        interests = cls.env["library.interest"].create(
            [{"name": f"Interest {number}"} for number in range(3)]
        )
        cls.patrons = cls.env["library.patron"].create(
            [
                {
                    "name": f"Aada {number:03}",
                    "email": f"aada{number}@test.example.com",
                    "card_number": f"P{number:03}",
                    "company_id": cls.library.id,
                    "branch_id": cls.main.id,
                    "patron_category_id": (cls.adult, cls.child)[number % 2].id,
                    "interest_ids": interests[number % 3].ids,
                    "liaison_id": cls.desk.id,
                    "enrolled_on": date(2020, 1, 1),
                }
                for number in range(100)
            ]
        )

    def _web_specification(self, view, view_type):
        """The fields of a view, many2one and tags with their names, as the web client
        asks for them."""
        Patron = self.env["library.patron"]
        arch = Patron.get_view(self.env.ref(view).id, view_type)
        fields = arch["models"]["library.patron"]
        return {
            name: {"fields": {"display_name": {}}}
            if Patron._fields[name].type in ("many2one", "many2many")
            else {}
            for name in fields
        }

    def _open_page(self, specification, limit):
        page = (
            self.env["library.patron"]
            .with_context(bin_size=True)
            .web_search_read([], specification, limit=limit, count_limit=10001)
        )
        self.assertEqual(len(page["records"]), limit)

    @users("library_desk")
    @warmup
    def test_page_of_the_list(self):
        specification = self._web_specification(
            "library_crm.library_patron_view_list", "list"
        )
        self.env.invalidate_all()
        with self.assertQueryCount(library_desk=10):
            self._open_page(specification, 80)

    @users("library_desk")
    @warmup
    def test_page_of_the_kanban(self):
        specification = self._web_specification(
            "library_crm.library_patron_view_kanban", "kanban"
        )
        self.env.invalidate_all()
        with self.assertQueryCount(library_desk=10):
            self._open_page(specification, 40)

    @users("library_desk")
    @warmup
    def test_card_typed_into_a_search(self):
        self.env.invalidate_all()
        with self.assertQueryCount(library_desk=2):
            found = self.env["library.patron"].name_search("P042")
        self.assertEqual(
            [identifier for identifier, _name in found], self.patrons[42].ids
        )

    @users("library_desk")
    @warmup
    def test_count_of_a_filter_asks_patrons_only(self):
        self.env.invalidate_all()
        domain = [
            ("branch_id", "=", self.main.id),
            ("last_use_date", "<", "today -6m"),
        ]
        with self.assertQueryCount(library_desk=1):
            self.env["library.patron"].search_count(domain)
        query = self.env["library.patron"]._search(domain)
        self.assertNotIn("res_partner", query.select().code)

    @users("library_desk")
    @warmup
    def test_visit_is_logged(self):
        patron = self.patrons[0].with_env(self.env)
        patron.action_log_visit()
        self.env.flush_all()
        self.env.invalidate_all()
        # Two of them add the use: the row, and what it adds to its month; two reckon
        # the patron anew, and one asks the library until when use was counted and gone.
        with self.assertQueryCount(library_desk=10):
            patron.action_log_visit()
            self.env.flush_all()

    def test_visit_leaves_what_other_workers_remember(self):
        self.patrons[0].action_log_visit()
        self.env.registry.clear_cache()
        self.env.registry.cache_invalidated.clear()
        self.patrons[1].action_log_visit()
        self.assertFalse(self.env.registry.cache_invalidated)
