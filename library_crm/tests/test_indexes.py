from odoo.tests import tagged

from .common import LibraryCommon


@tagged("post_install", "-at_install")
class TestIndexes(LibraryCommon):
    """With a town's patrons in the table, PostgreSQL chooses our indexes by itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.flush_all()
        cls.env.cr.execute(
            """
            WITH partner AS (
                INSERT INTO res_partner
                SELECT twin.*
                  FROM res_partner AS amal, generate_series(1, 20000) AS number,
                       jsonb_populate_record(amal, jsonb_build_object(
                           'id', nextval('res_partner_id_seq'),
                           'complete_name', 'Patron ' || md5(number::text)
                       )) AS twin
                 WHERE amal.id = %s
             RETURNING id, complete_name
            )
            INSERT INTO library_patron
            SELECT twin.*
              FROM library_patron AS amal, partner,
                   jsonb_populate_record(amal, jsonb_build_object(
                       'id', nextval('library_patron_id_seq'),
                       'partner_id', partner.id,
                       'complete_name', partner.complete_name,
                       'card_number', md5(partner.id::text)
                   )) AS twin
             WHERE amal.id = %s
            """,
            [cls.amal.partner_id.id, cls.amal.id],
        )
        cls.env.cr.execute("ANALYZE library_patron")

    def _plan(self, domain, **paging):
        """The plan of PostgreSQL for a search of patrons."""
        sql = self.env["library.patron"]._search(domain, **paging).select()
        self.env.cr.execute(f"EXPLAIN {sql.code}", list(sql.params))
        return "\n".join(line for (line,) in self.env.cr.fetchall())

    def test_card_is_found_by_the_index(self):
        plan = self._plan(
            [("card_number", "=", "0042"), ("company_id", "=", self.library.id)]
        )
        self.assertIn("library_patron_card_uniq", plan)

    def test_cards_of_a_batch_are_found_by_the_same_index(self):
        source = self.env["library.data.source"].create({"name": "Patrons"})
        load = self.env["library.data.load"].create({"source_id": source.id})
        loader = source._get_loader()(load, source._make_file_format(), False)
        sql = loader.sql_cards([f"{number:032}" for number in range(5000)])
        self.env.cr.execute(f"EXPLAIN {sql.code}", list(sql.params))
        plan = "\n".join(line for (line,) in self.env.cr.fetchall())
        self.assertIn("Index Scan using library_patron_card_uniq", plan)
        self.assertNotIn("library_patron__card_number_index", plan)

    def test_first_page_of_the_list_comes_from_one_index(self):
        order = self.env["library.patron"]._order
        plan = self._plan([], order=order, limit=80)
        self.assertIn("library_patron_default_order_idx", plan)
        self.assertNotIn("Sort", plan)

    def test_part_of_a_name_or_card_is_found_by_two_indexes(self):
        """The search box looks into both; without one of them every patron is read."""
        plan = self._plan([("display_name", "ilike", "bruno si")])
        self.assertIn("library_patron__complete_name_index", plan)
        self.assertIn("library_patron__card_number_index", plan)
