import hashlib

from odoo import api, fields, models
from odoo.fields import NO_ACCESS
from odoo.tools import SQL


class LibraryPatronTombstone(models.Model):
    """Somebody was erased, and the next file of the library system is not to bring
    them back.

    Who it was is not kept: only keyed digests of the card and of the reference of the
    library system, by which their rows are recognised. Whoever deletes a tombstone
    lets the person be loaded again; so does a desk that adds a patron with that card.

    Who had objected to any mail is remembered in the same way, by the address: it
    may be on somebody's list still.
    """

    _name = "library.patron.tombstone"
    _description = "Erased Patron"
    _order = "date desc, id desc"
    _rec_name = "date"
    _log_access = False
    _library_personal_data = {"*": "erased"}

    company_id = fields.Many2one(
        "res.company",
        string="Library",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    date = fields.Date(
        string="Erased on",
        required=True,
        readonly=True,
        default=fields.Date.context_today,
    )
    card_digest = fields.Char(groups=NO_ACCESS)
    ref_digest = fields.Char(groups=NO_ACCESS)
    objection_digest = fields.Char(groups=NO_ACCESS)

    _card_idx = models.Index("(card_digest, company_id)")
    _ref_idx = models.Index("(ref_digest, company_id)")
    _objection_idx = models.Index(
        "(company_id, objection_digest) WHERE objection_digest IS NOT NULL"
    )

    @api.model
    def _bury(self, company, numbers):
        """Remember numbers of people who are about to be erased.

        :param company: the library, ``res.company``
        :param numbers: pairs of a card number and a reference, either may be empty
        """
        self.sudo().create(
            [
                {
                    "company_id": company.id,
                    "card_digest": self._get_digest(company, "card", card),
                    "ref_digest": self._get_digest(company, "ref", ref),
                }
                for card, ref in numbers
                if card or ref
            ]
        )

    @api.model
    def _find_buried(self, company, numbers):
        """Of pairs of a card number and a reference those that were an erased
        person's. A card that goes with a reference of somebody else has a new holder.

        :return: set of such pairs
        """
        if not self._is_any(company):
            return set()
        by_digests = {
            (
                self._get_digest(company, "card", card),
                self._get_digest(company, "ref", ref),
            ): (card, ref)
            for card, ref in numbers
        }
        found = self._search_digests(company, by_digests)
        refs = {ref for __, __, ref in found if ref}
        cards = {card: bool(ref) for __, card, ref in found if card}
        return {
            numbers
            for (card, ref), numbers in by_digests.items()
            if (ref and ref in refs) or (card in cards and not (ref and cards[card]))
        }

    @api.model
    def _lift(self, company, numbers):
        """Let people with these numbers be loaded again.

        :param numbers: pairs of a card number and a reference
        """
        if not self._is_any(company):
            return
        digests = [
            (
                self._get_digest(company, "card", card),
                self._get_digest(company, "ref", ref),
            )
            for card, ref in numbers
        ]
        found = self._search_digests(company, digests)
        self.sudo().browse(row_id for row_id, __, __ in found).unlink()

    @api.model
    def _remember_objections(self, company, emails):
        """Remember addresses that no mailing may go to, and that are about to be
        deleted.

        :param emails: in their normal form
        """
        self.sudo().create(
            [
                {
                    "company_id": company.id,
                    "objection_digest": self._get_digest(company, "email", email),
                }
                for email in emails
                if email not in self._find_objections([email])
            ]
        )

    @api.model
    def _find_objections(self, emails):
        """Those of the addresses whose owner was erased and had objected to any mail,
        in whichever library: as Odoo's own list, it holds for all.

        Cost: a digest an address and library that remembers any.
        """
        companies = (
            self.sudo()._read_group([("objection_digest", "!=", False)], ["company_id"])
            if emails
            else ()
        )
        found = set()
        for (company,) in companies:
            by_digest = {
                self._get_digest(company, "email", email): email for email in emails
            }
            rows = self.sudo().search(
                [
                    ("company_id", "=", company.id),
                    ("objection_digest", "in", list(by_digest)),
                ]
            )
            found.update(by_digest[row.objection_digest] for row in rows)
        return found

    def _is_any(self, company):
        return bool(
            self.sudo().search_count([("company_id", "=", company.id)], limit=1)
        )

    def _search_digests(self, company, digests):
        self.flush_model()
        return self.env.execute_query(
            SQL(
                """
                SELECT id, card_digest, ref_digest
                  FROM library_patron_tombstone
                 WHERE company_id = %s
                   AND (card_digest = ANY(%s) OR ref_digest = ANY(%s))
                """,
                company.id,
                [card for card, __ in digests if card],
                [ref for __, ref in digests if ref],
            )
        )

    def _get_digest(self, company, kind, number):
        if not number:
            return False
        key = bytes.fromhex(company.sudo().library_tombstone_key)
        digest = hashlib.blake2b(f"{kind}\n{number}".encode(), digest_size=16, key=key)
        return digest.hexdigest()
