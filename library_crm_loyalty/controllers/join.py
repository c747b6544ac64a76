from odoo.addons.library_crm.controllers.join import LibraryJoin
from odoo.addons.library_crm.controllers.join_answers import JoinAnswers


class LoyaltyJoin(LibraryJoin):
    """The join form asks for the code of the friend who brought somebody."""

    def _read_answers(self, form, typed):
        return LoyaltyJoinAnswers(form, typed)


class LoyaltyJoinAnswers(JoinAnswers):
    max_length = {**JoinAnswers.max_length, "friend": 20}

    @property
    def asks_for_friend(self):
        """Where the library has a programme that thanks for it."""
        return bool(
            self._search(
                "library.loyalty.rule",
                [*self._in_library(), ("event", "=", "referral")],
            )
        )

    def check(self):
        super().check()
        self._check_lengths("friend")
        if self.text["friend"] and "friend" not in self.errors:
            card = self.env["library.join"]._find_friend_card(
                self.text["friend"], self.form.company_id
            )
            if not card:
                self._fail(
                    "friend",
                    self.env._(
                        "A friend's code: we do not know this one. Look at it again, "
                        "or leave it empty."
                    ),
                )
        return not self.errors

    def _get_label(self, name):
        if name == "friend":
            return self.env._("A friend's code")
        return super()._get_label(name)

    def prepare_join_values(self):
        return {
            **super().prepare_join_values(),
            "friend_code": self.env["library.join"]._clean_friend_code(
                self.text["friend"]
            )
            or False,
        }
