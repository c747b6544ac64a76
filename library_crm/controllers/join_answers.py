import re
from datetime import date

from odoo import fields
from odoo.tools import email_normalize

# What a field may hold at most, so that nobody sends a book.
MAX_LENGTH = {
    "birth_date": 10,
    "zip": 24,
    "city": 64,
    "name": 80,
    "email": 120,
    "phone": 32,
    "street": 120,
    "guardian_name": 80,
    "guardian_email": 120,
}
_OLDEST = 120
# The name is written into a mail to an address that somebody typed: it must not be an
# advertisement with a link.
_NO_NAME = re.compile(r"[<>@/\\{}]|www\.|https?:", re.IGNORECASE)
_PHONE = re.compile(r"\+?[\d\s()./-]+")


class JoinAnswers:
    """What was typed into the join form: cleaned, checked, and never lost.

    :param form: the ``library.join.form``
    :param werkzeug.datastructures.MultiDict typed: as the browser sent it
    """

    #: By field; an addon that asks more adds to it.
    max_length = MAX_LENGTH

    def __init__(self, form, typed):
        self.form = form
        self.env = form.env
        self.errors = {}
        self.text = {
            name: self._clean(typed.get(name))
            for name in (*self.max_length, "who", "affiliation", "branch", "heard_of")
        }
        self.branches = self._search("library.branch", self._in_library())
        self.interests = self._search(
            "library.interest", [("portal_published", "=", True)]
        )
        self.chosen = {
            name: set(typed.getlist(name)) for name in ("interest", "purpose")
        }
        self.birth_date = None
        self.rule = form.rule_ids.browse()

    def _clean(self, text):
        """One line, without what can not be seen."""
        printable = "".join(c if c.isprintable() else " " for c in text or "")
        return " ".join(printable.split())

    def _search(self, model, domain):
        return self.env[model].sudo().search(domain)

    def _in_library(self):
        return [("company_id", "=", self.form.company_id.id)]

    @property
    def affiliations(self):
        return self.form._get_affiliations()

    @property
    def heard_of(self):
        field = self.env["library.join"]._fields["heard_of"]
        return field._description_selection(self.env)

    @property
    def is_for_child(self):
        return self.text["who"] == "child"

    @property
    def needs_guardian(self):
        return bool(self.birth_date) and self.form._needs_guardian(
            self.rule, self.text["who"], self.birth_date
        )

    @property
    def purposes(self):
        """What can be agreed to; whose guardian has to confirm is not profiled."""
        kinds = ["profiling"] if self.needs_guardian else []
        return self._search(
            "library.consent.purpose",
            [("is_refusable", "=", True), ("kind", "not in", kinds)],
        )

    # ------------------------------------------------------------
    # WHO CAN JOIN
    # ------------------------------------------------------------

    def decide(self):
        """Check the first questions and find the rule that decides.

        :return: whether the questions are answered; ``rule`` is then set, or empty
            where no rule fits
        """
        self._check_lengths("birth_date", "zip", "city")
        if self.text["who"] not in ("self", "child"):
            self._fail("who", self.env._("For whom: choose one of the two."))
        self._check_birth_date()
        if not self.text["zip"] and not self.text["city"]:
            self._fail(
                "zip",
                self.env._("Postcode: fill in the postcode or the town, or both."),
            )
        if self.text["affiliation"] not in ("", *dict(self.affiliations)):
            self._fail(
                "affiliation",
                self.env._("Studying and working here: choose one of the answers."),
            )
        if self.errors:
            return False
        self.rule = self.form._decide(
            who=self.text["who"],
            birth_date=self.birth_date,
            zip_code=self.text["zip"],
            city=self.text["city"],
            affiliation=self.text["affiliation"],
        )
        return True

    @property
    def is_allowed(self):
        return self.rule.outcome == "allowed"

    def _check_birth_date(self):
        typed = self.text["birth_date"]
        if not typed:
            self._fail("birth_date", self.env._("Date of birth: fill it in."))
            return
        try:
            born = date.fromisoformat(typed)
        except ValueError:
            self._fail(
                "birth_date",
                self.env._(
                    "Date of birth: %(typed)s is no date. Write year, month and day, "
                    "as in 1984-02-29.",
                    typed=typed[: self.max_length["birth_date"]],
                ),
            )
            return
        today = fields.Date.context_today(self.form)
        if born > today or today.year - born.year > _OLDEST:
            self._fail(
                "birth_date",
                self.env._(
                    "Date of birth: %(typed)s can not be. Look at the year again.",
                    typed=typed,
                ),
            )
            return
        self.birth_date = born

    # ------------------------------------------------------------
    # WHO IT IS
    # ------------------------------------------------------------

    def check(self):
        """Check the rest.

        :return: whether all is well
        """
        if self.needs_guardian:
            self._check_lengths("guardian_name", "guardian_email")
            self._check_name("guardian_name")
            self._check_email("guardian_email", required=True)
        self._check_lengths("name", "email", "phone", "street")
        self._check_name("name")
        self._check_email("email", required=not self.needs_guardian)
        phone = self.text["phone"]
        if phone and not (
            _PHONE.fullmatch(phone) and 5 <= len(re.sub(r"\D", "", phone)) <= 15
        ):
            self._fail(
                "phone",
                self.env._(
                    "Phone: 5 to 15 digits are expected, as in +44 20 7946 0018. You "
                    "may also leave it empty."
                ),
            )
        if self.branches and not self._get_branch():
            self._fail("branch", self.env._("Home branch: choose one of the branches."))
        if self.text["heard_of"] not in ("", *dict(self.heard_of)):
            self._fail(
                "heard_of",
                self.env._("How you heard of us: choose one of the answers."),
            )
        for name, offered, message in (
            (
                "interest",
                self.interests,
                self.env._("Interests: one is no longer on offer. Choose again."),
            ),
            (
                "purpose",
                self.purposes,
                self.env._("What you agree to: the list has changed. Choose again."),
            ),
        ):
            if not self.chosen[name] <= set(map(str, offered.ids)):
                self._fail(name, message)
        return not self.errors

    def _get_branch(self):
        return self.branches.filtered(lambda it: str(it.id) == self.text["branch"])

    def _get_chosen(self, name, offered):
        return offered.filtered(lambda record: str(record.id) in self.chosen[name])

    def _get_label(self, name):
        return {
            "birth_date": self.env._("Date of birth"),
            "zip": self.env._("Postcode"),
            "city": self.env._("Town"),
            "name": self.env._("Name"),
            "email": self.env._("Email"),
            "phone": self.env._("Phone"),
            "street": self.env._("Street and number"),
            "guardian_name": self.env._("Name of the guardian"),
            "guardian_email": self.env._("Email of the guardian"),
        }[name]

    def _fail(self, name, message):
        self.errors.setdefault(name, message)

    def _check_lengths(self, *names):
        for name in names:
            if len(self.text[name]) > self.max_length[name]:
                self._fail(
                    name,
                    self.env._(
                        "%(field)s: this is too long. %(most)s characters fit in.",
                        field=self._get_label(name),
                        most=self.max_length[name],
                    ),
                )

    def _check_name(self, name):
        if not self.text[name]:
            self._fail(
                name, self.env._("%(field)s: fill it in.", field=self._get_label(name))
            )
        elif _NO_NAME.search(self.text[name]):
            self._fail(
                name,
                self.env._(
                    "%(field)s: only the name, please, without an address or signs "
                    "such as < and @.",
                    field=self._get_label(name),
                ),
            )

    def _check_email(self, name, required):
        typed = self.text[name]
        if not typed and required:
            self._fail(
                name,
                self.env._(
                    "%(field)s: fill it in. Without it we can not answer.",
                    field=self._get_label(name),
                ),
            )
        elif typed and email_normalize(typed) != typed.lower():
            self._fail(
                name,
                self.env._(
                    "%(field)s: this is no full address. One like "
                    "name@example.org is expected.",
                    field=self._get_label(name),
                ),
            )

    def prepare_join_values(self):
        """Values of the ``library.join``."""
        values = {
            name: self.text[name] or False
            for name in ("name", "email", "phone", "street", "zip", "city", "heard_of")
        }
        if self.needs_guardian:
            values["guardian_name"] = self.text["guardian_name"]
            values["guardian_email"] = self.text["guardian_email"]
        return {
            **values,
            "who": self.text["who"],
            "birth_date": self.birth_date,
            "company_id": self.form.company_id.id,
            "branch_id": self._get_branch().id,
            "patron_category_id": self.rule.patron_category_id.id,
            "interest_ids": self._get_chosen("interest", self.interests).ids,
            "agreed_wordings": {
                purpose.id: purpose.wording_version
                for purpose in self._get_chosen("purpose", self.purposes)
            },
            "lang": self.env.lang,
        }
