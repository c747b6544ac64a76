from typing import NamedTuple

from odoo import api, models
from odoo.fields import NO_ACCESS, Domain

#: What points to a person from wherever it stands.
PERSONS = ("library.patron", "res.partner", "res.users")


class Kind(NamedTuple):
    """A kind of data: what it is about, why it is held, on what legal ground, and the
    rule that says for how long (empty: as ``kept`` says)."""

    label: str
    category: str
    purpose: str
    basis: str
    rule: str = ""
    kept: str = ""


class LibraryPrivacyRegister(models.AbstractModel):
    """What is held about people: each stored field of each model of the library, and
    those that it adds to or uses of Odoo's own, with why and for how long.

    A model says it beside its fields, in ``_library_personal_data``: the kind of data
    of each field by its name; ``*`` is for those it does not name. On a model of
    Odoo's own ``*`` is for the fields that the library adds to it. An addon that
    extends a model says it of its own fields in the same way.

    A kind is either of a person or, with no category, of nobody: then its purpose is
    the reason why. ``*`` cannot make a field that points to a person one of nobody;
    that takes the name of the field. Nothing is to be said of what is not stored, and
    of forms that Odoo forgets within hours.

    Who sees a field is not said anywhere: it is what access rights and groups let
    through.
    """

    _name = "library.privacy.register"
    _description = "Register of Personal Data"

    #: Of models of Odoo's own that the library does not extend.
    _LIBRARY_USES = {
        "link.tracker.click": dict.fromkeys(
            ("mailing_trace_id", "ip", "country_id"), "mailing"
        ),
        "mail.activity": dict.fromkeys(("summary", "note"), "message")
        | {"user_id": "staff"},
        "mail.blacklist": {"email": "refusal"},
        "mail.followers": {"partner_id": "message"},
        "mail.message": dict.fromkeys(
            ("author_id", "email_from", "partner_ids", "subject", "body", "date")
            + ("attachment_ids",),
            "message",
        ),
        "mail.notification": {"res_partner_id": "message"},
        "mail.tracking.value": dict.fromkeys(
            ("old_value_char", "new_value_char", "old_value_text", "new_value_text")
            + ("old_value_datetime", "new_value_datetime"),
            "message",
        ),
        "res.users.log": {"create_uid": "login"},
    }
    #: What is written about a patron is read by who may change the patron, whatever the
    #: access rights of these models say of other records.
    _WRITTEN_ABOUT = (
        *("mail.activity", "mail.followers", "mail.message", "mail.notification"),
        "mail.tracking.value",
    )

    @api.model
    def _get_categories(self):
        """What personal data is about.

        :rtype: dict[str, str]
        """
        return {
            "identity": self.env._("Who you are"),
            "contact": self.env._("How we reach you"),
            "membership": self.env._("Your membership"),
            "use": self.env._("What you use"),
            "preference": self.env._("What you like and agreed to"),
            "satisfaction": self.env._("What you told us"),
            "loyalty": self.env._("Points, rewards and challenges"),
            "technical": self.env._("What machines need"),
        }

    @api.model
    def _get_bases(self):
        """On what legal ground personal data may be held, in the terms of article 6 of
        the General Data Protection Regulation; other laws know the like.

        :rtype: dict[str, str]
        """
        return {
            "contract": self.env._("It is needed for your membership (contract)"),
            "consent": self.env._("You agreed, and can take it back (consent)"),
            "law": self.env._("The law asks for it (legal obligation)"),
            "public": self.env._("It is part of the library's task (public task)"),
            "interest": self.env._(
                "The library needs it, and you may object (legitimate interest)"
            ),
        }

    @api.model
    def _get_kinds(self):
        """The kinds of data by name; a hook.

        :rtype: dict[str, Kind]
        """
        env = self.env
        with_patron = env._("As long as what it belongs to.")
        return {
            "identity": Kind(
                env._("Name, birth date, card"),
                "identity",
                env._("To know whose card it is, and which card fits your age."),
                "contract",
                "patron",
            ),
            "contact": Kind(
                env._("Address, email, phone, language"),
                "contact",
                env._("To reach you about your membership and about what you asked."),
                "contract",
                "patron",
            ),
            "family": Kind(
                env._("Guardian and household"),
                "identity",
                env._(
                    "To know who agrees for a child and is written to, and to write "
                    "only once to a household."
                ),
                "contract",
                "patron",
            ),
            "membership": Kind(
                env._("Membership and renewals"),
                "membership",
                env._("To know until when your card is valid, and to renew it."),
                "contract",
                "patron",
            ),
            "use": Kind(
                env._("Use of services"),
                "use",
                env._(
                    "To know which services are used, where and how often. It is the "
                    "service, the branch and the day; what you read, borrow or search "
                    "is stored nowhere."
                ),
                "public",
                "usage",
            ),
            "figure": Kind(
                env._("How often you come"),
                "use",
                env._(
                    "To see who comes less often, and to ask whether something is "
                    "amiss. Of children it is not reckoned, nor of who objects."
                ),
                "interest",
                "patron",
            ),
            "preference": Kind(
                env._("Interests"),
                "preference",
                env._("To tell you of what interests you, and of nothing else."),
                "consent",
                "patron",
            ),
            "consent": Kind(
                env._("What you agreed to"),
                "preference",
                env._(
                    "To prove what you agreed to and what you took back, and to keep "
                    "to it."
                ),
                "law",
                "patron",
            ),
            "refusal": Kind(
                env._("That an address is not to be written to"),
                "preference",
                env._("To keep to it, also after everything else is gone."),
                "law",
                kept=env._("Until you say otherwise."),
            ),
            "request": Kind(
                env._("Requests"),
                "contact",
                env._(
                    "To answer what you asked for, and to see that nobody is forgotten."
                ),
                "contract",
                "request",
            ),
            "message": Kind(
                env._("Messages and notes"),
                "contact",
                env._(
                    "To know what was said to you, what you said, and what was changed."
                ),
                "contract",
                "message",
            ),
            "mailing": Kind(
                env._("Mailings that you got"),
                "contact",
                env._(
                    "To see whether mails arrive and are of use, and not to write too "
                    "often."
                ),
                "interest",
                "trace",
            ),
            "journey": Kind(
                env._("Series of mails that you are on"),
                "contact",
                env._("To send each mail once and at its time."),
                "interest",
                "patron",
            ),
            "join": Kind(
                env._("A join form that you filled in"),
                "identity",
                env._("To make a membership of it."),
                "contract",
                "join",
            ),
            "load": Kind(
                env._("Files from the library system"),
                "technical",
                env._("To take over cards and use, and to mend rows that were wrong."),
                "contract",
                "refusal",
            ),
            "link": Kind(
                env._("Numbers of the library system"),
                "technical",
                env._("To know you again in the files of the library system."),
                "contract",
                "patron",
            ),
            "erased": Kind(
                env._("That somebody was erased"),
                "technical",
                env._(
                    "So that the next file of the library system does not bring you "
                    "back. It is a digest, which tells nobody who you were."
                ),
                "law",
                "tombstone",
            ),
            "login": Kind(
                env._("Login to the portal"),
                "technical",
                env._("To let you, and nobody else, see your own page."),
                "contract",
                "patron",
            ),
            "limit": Kind(
                env._("From where a form was sent"),
                "technical",
                env._(
                    "To shut out machines that send hundreds of forms or guess links. "
                    "It is a digest of the network address, and another one each day."
                ),
                "interest",
                kept=env._("An hour, and then until the next nightly clearing."),
            ),
            "staff": Kind(
                env._("Who of the staff did it"),
                "technical",
                env._("To know whom to ask. It is of staff, not of patrons."),
                "interest",
                kept=with_patron,
            ),
            # Of nobody, and why.
            "setting": Kind(
                env._("Setting"),
                "",
                env._("It says how the library works, or what it wrote to many."),
                "",
            ),
            "figures": Kind(
                env._("Figures of many"),
                "",
                env._("It counts people and names nobody."),
                "",
            ),
            "place": Kind(
                env._("Address of the library"),
                "",
                env._("The contact is a place of the library, not a person."),
                "",
            ),
        }

    # ------------------------------------------------------------
    # FROM THE REAL FIELDS
    # ------------------------------------------------------------

    @api.model
    def _get_declared(self, model):
        """What a model says of its fields: kinds by the name of the field."""
        declared = dict(self._LIBRARY_USES.get(model._name, {}))
        for definition in type(model).mro():
            for name, kind in (
                vars(definition).get("_library_personal_data", {}).items()
            ):
                declared.setdefault(name, kind)
        return declared

    @api.model
    def _get_stored_fields(self, model):
        """The fields of a model that are to be told of: all that are stored, on a model
        of Odoo's own those of the library and those that are named."""
        is_own = model._name.startswith("library.")
        declared = self._get_declared(model)
        return [
            field
            for name, field in model._fields.items()
            if field.store
            and field.type != "one2many"
            and name != "id"
            and (
                is_own
                or name in declared
                or (field._module or "").startswith("library_crm")
            )
        ]

    @api.model
    def _get_told_models(self):
        """The models that hold data of their own and are the library's, or have some of
        it."""
        return [
            model
            for name in sorted(self.env.registry)
            if (model := self.env[name])._auto
            and not model._abstract
            and not model._transient
            and self._get_stored_fields(model)
        ]

    @api.model
    def _get_kind_of(self, field, declared):
        """The kind of data of a field by name, or None where nobody says."""
        if field.name in declared:
            return declared[field.name]
        if field.name in ("create_uid", "write_uid"):
            return "staff"
        if field.name in ("create_date", "write_date"):
            return declared.get("*", "setting")
        kind = declared.get("*")
        if (
            kind
            and field.comodel_name in PERSONS
            and not self._get_kinds()[kind].category
        ):
            return None
        return kind

    @api.model
    def _get_entries(self):
        """Each stored field that holds data of a person or points to one.

        :return: model, field and kind of each
        :rtype: list[tuple[models.Model, fields.Field, str]]
        """
        kinds = self._get_kinds()
        return [
            (model, field, kind)
            for model in self._get_told_models()
            for declared in [self._get_declared(model)]
            for field in self._get_stored_fields(model)
            if (kind := self._get_kind_of(field, declared)) and kinds[kind].category
        ]

    @api.model
    def _get_sorted_entries(self):
        """:meth:`_get_entries`, what is about the same thing together."""
        kinds = self._get_kinds()
        categories, names = list(self._get_categories()), list(kinds)
        return sorted(
            self._get_entries(),
            key=lambda entry: (
                categories.index(kinds[entry[2]].category),
                names.index(entry[2]),
            ),
        )

    @api.model
    def _say_kept(self, kind, company):
        """For how long a library keeps a kind of data now, in a sentence.

        :param Kind kind: what it is
        """
        if not kind.rule:
            return kind.kept
        rule = self.env["library.retention.rule"]._get_for(company).get(kind.rule)
        return rule.with_env(self.env).sudo()._say_kept() if rule else kind.kept

    @api.model
    def _tell(self, company):
        """What a library holds, in words for patrons: by what it is about.

        :return: of each category its label and its kinds: what, why, on what ground,
            for how long, who sees it, and the labels of the fields
        :rtype: list[tuple[str, list[dict]]]
        """
        kinds, bases = self._get_kinds(), self._get_bases()
        get_readers = self._get_readers()
        roles = list(self._get_roles().values())
        labels, readers = {}, {}
        for model, field, name in self._get_entries():
            labels.setdefault(name, set()).add(field._description_string(self.env))
            readers.setdefault(name, set()).update(get_readers(model, field))
        return [
            (
                label,
                [
                    {
                        "name": name,
                        "label": kind.label,
                        "purpose": kind.purpose,
                        "basis": bases[kind.basis],
                        "kept": self._say_kept(kind, company),
                        "readers": sorted(readers[name], key=roles.index),
                        "fields": sorted(labels[name]),
                    }
                    for name, kind in kinds.items()
                    if kind.category == category and name in labels
                ],
            )
            for category, label in self._get_categories().items()
        ]

    @api.model
    def _find_undeclared(self):
        """Fields of which nobody says why they are held, as ``model.field``; kinds that
        are not known; and declarations of fields that are gone."""
        kinds = self._get_kinds()
        problems = []
        for model in self._get_told_models():
            declared = self._get_declared(model)
            problems += [
                f"{model._name}.{field.name}"
                for field in self._get_stored_fields(model)
                if self._get_kind_of(field, declared) not in kinds
            ]
            problems += [
                f"{model._name}.{name} (no such stored field)"
                for name in declared
                if name != "*"
                and not (name in model._fields and model._fields[name].store)
            ]
        return problems

    # ------------------------------------------------------------
    # WHO SEES IT
    # ------------------------------------------------------------

    @api.model
    def _get_roles(self):
        """The groups of users by whom data may be seen, with words; a hook.

        :rtype: dict[str, str]
        """
        return {
            "library_crm.group_library_user": self.env._("desk"),
            "library_crm.group_library_marketing": self.env._("marketing"),
            "library_crm.group_library_manager": self.env._("managers"),
            "base.group_user": self.env._("all staff with a login"),
            "base.group_portal": self.env._("patrons, of themselves"),
        }

    @api.model
    def _get_readers(self):
        """Who may read what: to be asked of each field. It is the roles that access
        rights let read a field of some record; which records these are, record rules
        decide (branch, library, own).

        :return: a function of model and field that gives labels of roles
        """
        roles = {
            label: role | role.all_implied_ids
            for xml_id, label in self._get_roles().items()
            for role in [self.env.ref(xml_id).sudo()]
        }
        readable = {}
        for line in self.env["ir.model.access"].sudo().search(Domain.TRUE):
            name = line.model_id.model
            if line.perm_read and name not in self._WRITTEN_ABOUT:
                readable.setdefault(name, []).append(line.group_id)
            if line.perm_write and name == "library.patron":
                for about in self._WRITTEN_ABOUT:
                    readable.setdefault(about, []).append(line.group_id)

        def get_readers(model, field):
            if field.groups == NO_ACCESS:
                return []
            return [
                label
                for label, groups in roles.items()
                if any(
                    not group or group in groups
                    for group in readable.get(model._name, ())
                )
                and (not field.groups or self._may_see(groups, field.groups))
            ]

        return get_readers

    def _may_see(self, groups, spec):
        """Whether a specification of groups (``a,!b``) lets groups through."""
        names = [name.strip() for name in spec.split(",")]
        has = {name: self.env.ref(name.lstrip("!")).sudo() in groups for name in names}
        return not any(has[name] for name in names if name.startswith("!")) and (
            any(has[name] for name in names if not name.startswith("!"))
        )
