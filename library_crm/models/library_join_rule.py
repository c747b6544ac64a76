import re
from fnmatch import fnmatchcase

from odoo import fields, models


class LibraryJoinRule(models.Model):
    """Who may have a card, and of which kind.

    The rules of a form are read from the top; the first one that fits decides. What a
    rule leaves open fits everybody.
    """

    _name = "library.join.rule"
    _description = "Join Rule"
    _order = "form_id, sequence, id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting"}

    name = fields.Char(required=True, help="For the staff; it is shown to nobody else.")
    form_id = fields.Many2one(
        "library.join.form", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="form_id.company_id", store=True, string="Library"
    )
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)

    # Whom it fits
    who = fields.Selection(
        [("self", "Who asks for themselves"), ("child", "Who asks for a child")],
        string="For Whom",
        help="Empty: both.",
    )
    age_min = fields.Integer(string="From Age", help="In full years; 0: no limit.")
    age_max = fields.Integer(
        string="To Age", help="In full years, inclusive; 0: no limit."
    )
    places = fields.Char(
        help="Postcodes and towns, parted by commas; * stands for anything, as in "
        "974*, Riverbend. Empty: wherever somebody lives."
    )
    affiliation = fields.Selection(
        [
            ("student", "I study here"),
            ("faculty", "I teach or do research here"),
            ("worker", "I work here"),
        ],
        help="The form asks for it if any rule does. Empty: everybody.",
    )

    # What it says
    outcome = fields.Selection(
        [("allowed", "Can join"), ("refused", "Can not join")],
        required=True,
        default="allowed",
    )
    patron_category_id = fields.Many2one(
        "library.patron.category",
        string="Category",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        help="What the new patron becomes. Empty: the staff decide.",
    )
    needs_guardian = fields.Boolean(
        string="Guardian Confirms",
        help="Also for those who have reached the age from which nobody needs a "
        "guardian.",
    )
    answer = fields.Text(
        translate=True,
        help="What is said to whom it fits: what the card is, what it costs; or, "
        "where somebody can not join, what they can do instead.",
    )

    _age_band = models.Constraint(
        "CHECK (age_min >= 0 AND (age_max = 0 OR age_max >= age_min))",
        "Age: the band must begin at 0 or later and may not end before it begins.",
    )

    def _fits(self, *, who, age, zip_code, city, affiliation):
        """Whether this rule decides about somebody.

        :param str who: ``self`` or ``child``
        :param int age: in full years
        :param str zip_code: as typed, like ``city``
        :param affiliation: a key of the field, or nothing
        """
        self.ensure_one()
        return (
            self.who in (False, who)
            and age >= self.age_min
            and (not self.age_max or age <= self.age_max)
            and (not self.affiliation or self.affiliation == affiliation)
            and (not self.places or self._fits_place(zip_code, city))
        )

    def _fits_place(self, *lived_in):
        """Capitals and spaces do not count; only ``*`` stands for anything."""

        def plain(text):
            return re.sub(r"\s+", "", text or "").casefold()

        patterns = [
            re.sub(r"[?\[]", lambda found: f"[{found[0]}]", plain(place))
            for place in re.split(r"[,;\n]", self.places)
        ]
        return any(
            pattern and place and fnmatchcase(place, pattern)
            for pattern in patterns
            for place in map(plain, lived_in)
        )
