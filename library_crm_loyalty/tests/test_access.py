from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import LoyaltyCommon

ROLES = ("desk", "marketing", "manager", "employee", "portal")

# What each role may do, in the order of ROLES: read, write, create, unlink. Marketing
# sees no points, because points tell what one person uses.
RIGHTS = {
    "library.loyalty.cost": ("r", "r", "r", "", ""),
    "library.badge": ("r", "r", "rwcu", "", ""),
    "library.badge.award": ("rc", "", "rwcu", "", ""),
    "library.challenge": ("r", "r", "rwcu", "", ""),
    "library.challenge.entry": ("rwcu", "", "rwcu", "", ""),
    "library.challenge.log": ("rcu", "", "rcu", "", ""),
    "library.challenge.square": ("r", "r", "rwcu", "", ""),
    "library.challenge.team": ("rwc", "", "rwcu", "", ""),
    "library.loyalty.due": ("", "", "", "", ""),
    "library.loyalty.effect": ("r", "r", "r", "", ""),
    "library.loyalty.figures": ("", "", "", "", ""),
    "library.loyalty.give": ("rwc", "", "rwc", "", ""),
    "library.loyalty.liability": ("r", "r", "r", "", ""),
    "library.loyalty.month": ("r", "r", "r", "", ""),
    "library.loyalty.occasion": ("", "", "ru", "", ""),
    "library.loyalty.participation": ("r", "r", "r", "", ""),
    "library.loyalty.recompute": ("", "", "rwc", "", ""),
    "library.loyalty.redemption": ("r", "", "r", "", ""),
    "library.loyalty.reward": ("r", "r", "rwcu", "", ""),
    "library.loyalty.rule": ("r", "", "rwcu", "", ""),
    "library.loyalty.scan": ("rwc", "", "rwc", "", ""),
    "library.loyalty.tier": ("r", "", "rwcu", "", ""),
    "library.loyalty.undo": ("rwc", "", "rwc", "", ""),
    "loyalty.card": ("r", "", "rwcu", "", ""),
    "loyalty.history": ("r", "", "rwcu", "", ""),
    "loyalty.program": ("r", "r", "rwcu", "", ""),
}
OPERATIONS = {"r": "read", "w": "write", "c": "create", "u": "unlink"}


@tagged("post_install", "-at_install")
class TestLoyaltyAccess(LoyaltyCommon):
    def test_each_role_may_do_what_the_design_says(self):
        for model, rights in RIGHTS.items():
            for role, letters in zip(ROLES, rights, strict=True):
                records = self.env[model].with_user(getattr(self, role))
                for letter, operation in OPERATIONS.items():
                    with self.subTest(model, role=role, operation=operation):
                        self.assertEqual(
                            records.has_access(operation), letter in letters
                        )

    def test_each_model_of_this_addon_has_rights(self):
        models = self.env["ir.model"].search(
            [
                *("|", "|"),
                ("model", "=like", "library.loyalty.%"),
                ("model", "=like", "library.challenge%"),
                ("model", "=like", "library.badge%"),
            ]
        )
        self.assertLessEqual(set(models.mapped("model")), RIGHTS.keys())

    def test_rules_and_ledgers_of_other_libraries_are_not_seen(self):
        programme = self._create_library_programme(self.other_library)
        rule = self._create_rule(program_id=programme.id)
        card = self._join(self.other_patron, programme)
        self._use(0, patron=self.other_patron, branch_id=self.other_branch.id)
        self.assertTrue(card.history_ids)
        for user in (self.desk, self.manager):
            for records in (programme, rule, card, card.history_ids):
                with self.subTest(user.login, model=records._name):
                    mine = records.with_user(user).with_context(
                        allowed_company_ids=self.library.ids
                    )
                    self.assertFalse(mine._filtered_access("read"))

    def test_desk_reads_the_ledger_of_own_branches(self):
        self._join(self.bruno)
        self._use(0)
        self._use(0, patron=self.bruno)
        lines = self.env["loyalty.history"].search(
            [("card_id.program_id", "=", self.programme.id)]
        )
        self.assertEqual(len(lines), 2)
        mine = lines.with_user(self.desk).with_context(
            allowed_company_ids=self.library.ids
        )
        self.assertEqual(mine._filtered_access("read"), lines[-1:])
        with self.assertRaises(AccessError):
            lines.with_user(self.marketing).read(["library_points"])

    def test_challenges_of_other_libraries_and_branches_are_not_seen(self):
        badge = self.env["library.badge"].create(
            {"name": "Bookworm", "company_id": self.other_library.id}
        )
        values = {"name": "Summer", "goal_kind": "minutes"}
        far, near = self.env["library.challenge"].create(
            [
                {**values, "company_id": self.other_library.id, "badge_id": badge.id},
                {**values, "company_id": self.library.id},
            ]
        )
        team = self.env["library.challenge.team"].create(
            {"challenge_id": far.id, "name": "Class 4b"}
        )
        square = self.env["library.challenge.square"].create(
            {"challenge_id": far.id, "name": "Read outdoors"}
        )
        entry = far._enrol(self.other_patron)
        log = self.env["library.challenge.log"].create(
            {"entry_id": entry.id, "minutes": 5}
        )
        award = self.env["library.badge.award"].create(
            {"badge_id": badge.id, "patron_id": self.other_patron.id}
        )
        for user in (self.desk, self.manager):
            for records in (badge, award, far, entry, log, square, team):
                with self.subTest(user.login, model=records._name):
                    self.assertFalse(self._as(user, records)._filtered_access("read"))
        north = near._enrol(self.bruno)
        log = self.env["library.challenge.log"].create(
            {"entry_id": north.id, "minutes": 5}
        )
        for records in (north, log):
            self.assertFalse(self._as(self.desk, records)._filtered_access("read"))
            self.assertTrue(self._as(self.manager, records)._filtered_access("read"))

    def _as(self, user, records):
        return records.with_user(user).with_context(
            allowed_company_ids=self.library.ids
        )
