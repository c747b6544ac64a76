import io
import json
import re
import zipfile
from collections import defaultdict

from odoo import api, fields, models, release, tools
from odoo.fields import NO_ACCESS, Domain
from odoo.tools import html2plaintext
from odoo.tools.misc import format_date, format_datetime

#: Who is meant by a link: the person as a patron, as a contact, as a login.
PERSON = ("library.patron", "res.partner", "res.users")
#: What logs in is no part of what somebody may carry away.
SECRET = re.compile(r"token|password|secret|digest|signature|api_key|session|^totp")
#: How records point to any other: the fields of model and id.
POINTERS = {
    "mail.message": ("model", "res_id"),
    "mail.activity": ("res_model", "res_id"),
    "ir.attachment": ("res_model", "res_id"),
    "rating.rating": ("res_model", "res_id"),
}


class LibraryPatron(models.Model):
    """Everything that is held about a person, found by following the links of the real
    models: so a model that is added later is in it by itself.

    Who asks for a copy gets it as one ZIP: for machines, to read, and files. Nothing of
    it is kept. Others are not in it: neither family nor staff.
    """

    _inherit = "library.patron"

    #: What points to a person and tells nothing that is not told elsewhere, and why.
    _UNTOLD = {
        "library.patron.row": "digests by which an unchanged row is recognised",
        "mail.followers": "who is told of what is written about the patron",
        "mail.mail": "the letters stand under messages",
        "mail.notification": "that a message was shown; the message is told",
        "mail.push.device": "where a browser is reached",
        "mail.presence": "whether somebody is at the screen just now",
        "discuss.channel.member": "the messages are told",
        "res.users.settings": "how the screen of the login looks",
        "res.device": "another view of the devices that are told",
    }
    #: Parts of a record that do not go with it in the database.
    _PARTS = {("link.tracker.click", "mailing_trace_id")}

    # ------------------------------------------------------------
    # THE LINKS
    # ------------------------------------------------------------

    @api.model
    @tools.ormcache()
    def _get_links(self):
        """Every stored field that can name a person.

        :return: model, field, and the model that it names
        :rtype: tuple[tuple[str, str, str], ...]
        """
        return tuple(
            (name, field.name, field.comodel_name)
            for name, field in self._iter_held_fields()
            if field.type in ("many2one", "many2many")
            and field.comodel_name in PERSON
            and field.name not in models.LOG_ACCESS_COLUMNS
        )

    @api.model
    @tools.ormcache()
    def _get_lists(self):
        """Models on whose records a person stands among others: they are not the
        person's, and what is a part of them is not either."""
        return frozenset(
            name
            for name, field, _comodel in self._get_links()
            if self.env[name]._fields[field].type == "many2many"
        )

    @api.model
    @tools.ormcache()
    def _get_parts(self):
        """Every field by which a record is a part of another and goes with it.

        :return: model, field, and the model of the whole
        :rtype: tuple[tuple[str, str, str], ...]
        """
        return tuple(
            (name, field.name, field.comodel_name)
            for name, field in self._iter_held_fields()
            if field.type == "many2one"
            and field.comodel_name not in PERSON
            and (field.ondelete == "cascade" or (name, field.name) in self._PARTS)
        )

    @api.model
    def _iter_held_fields(self):
        """Every stored field of the models that have a table to keep, with the name of
        its model."""
        for name in sorted(self.env.registry):
            Model = self.env[name]
            if Model._auto and not Model._abstract and not Model._transient:
                for field in Model._fields.values():
                    if field.store:
                        yield name, field

    def _get_logins(self):
        """The logins of this person that are no staff's, as superuser."""
        contact = self.sudo().with_context(active_test=False).partner_id
        return contact.user_ids.filtered("share")

    def _find_personal_records(self):
        """All that is about this person, as superuser: what names the patron, the
        contact or the login, the parts of that, what was written and filed about it.
        What belongs to another patron or to another library is left out.

        :return: records by model
        :rtype: dict[str, models.Model]
        """
        self.ensure_one()
        patron = self.sudo().with_context(active_test=False, bin_size=False)
        person = {
            "library.patron": patron,
            "res.partner": patron.partner_id,
            "res.users": patron._get_logins(),
        }
        found = defaultdict(lambda: None)
        for name, field, comodel in self._get_links():
            if not person[comodel] or (name in PERSON and name != "res.partner"):
                continue
            if comodel == "res.users" and not self._is_of_login(name, field):
                continue
            records = patron.env[name].search(Domain(field, "in", person[comodel].ids))
            if name == "res.partner":
                # Further addresses of the contact; others are people of their own.
                if field != "parent_id":
                    continue
                records = records.filtered(lambda contact: contact.type != "contact")
            records = patron._leave_out_others(records)
            if records:
                found[name] = (found[name] or records.browse()) | records
        for name, records in person.items():
            if records:
                found[name] = (found[name] or records.browse()) | records
        self._add_parts(patron.env, found)
        self._add_pointers(patron.env, found)
        return dict(sorted(found.items()))

    @api.model
    def _is_of_login(self, name, field):
        """Whether a link to a user says whose login it is, not who of the staff did
        something."""
        return name.startswith(("res.", "auth", "gamification.")) and field == "user_id"

    def _leave_out_others(self, records):
        """Leave out what is another patron's, or another library's."""
        fields_ = records._fields
        if "company_id" in fields_ and fields_["company_id"].store:
            companies = {False, self.company_id.id}
            records = records.filtered(lambda row: row.company_id.id in companies)
        for name in ("patron_id", "library_patron_id"):
            if name in fields_ and fields_[name].comodel_name == self._name:
                records = records.filtered(
                    lambda row, name=name: not row[name] or row[name] == self
                )
        return records

    @api.model
    def _add_parts(self, env, found):
        wholes = set(found) - self._get_lists() - {*PERSON}
        while wholes:
            added = set()
            for name, field, comodel in self._get_parts():
                if comodel in wholes and name not in found and name not in POINTERS:
                    parts = env[name].search(Domain(field, "in", found[comodel].ids))
                    if parts:
                        found[name] = parts
                        added.add(name)
            wholes = added

    @api.model
    def _add_pointers(self, env, found):
        for name, (model, res_id) in POINTERS.items():
            if name not in env:
                continue
            lists = self._get_lists() - {"mail.message", "calendar.event"}
            wholes = {
                whole: records.ids
                for whole, records in found.items()
                if whole not in lists
            }
            records = env[name].search(
                Domain.OR(
                    Domain(model, "=", whole) & Domain(res_id, "in", ids)
                    for whole, ids in wholes.items()
                )
                # Odoo hides the files that stand in a field, unless asked for.
                & (Domain("id", "!=", 0) if name == "ir.attachment" else Domain.TRUE)
            )
            if records:
                found[name] = (found[name] or records.browse()) | records

    # ------------------------------------------------------------
    # A COPY OF IT
    # ------------------------------------------------------------

    def _export_personal_data(self):
        """A copy of all that is held about this person. The caller has made sure that
        it may be given.

        :return: a ZIP with ``data.json``, ``index.html`` and a folder of files
        :rtype: bytes
        """
        self.ensure_one()
        found = self._find_personal_records()
        others = self._get_others(found)
        sections = [
            section
            for name, records in self._sort_for_reading(found)
            if name not in self._UNTOLD
            for section in [self._tell_records(records, others)]
            if section["records"]
        ]
        files = self._get_files(found)
        told = {
            "library": self.sudo().company_id.name,
            "made_on": fields.Datetime.to_string(fields.Datetime.now()),
            "format": f"Library CRM, Odoo {release.version}",
            "models": {
                section["model"]: {
                    "name": section["name"],
                    "records": [
                        {field["name"]: field["value"] for field in record}
                        for record in section["records"]
                    ],
                }
                for section in sections
            },
            "files": list(files),
        }
        page = self.env["ir.qweb"]._render(
            "library_crm.library_patron_copy",
            {"patron": self.sudo(), "sections": sections, "files": list(files)},
        )
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                "data.json", json.dumps(told, ensure_ascii=False, indent=2)
            )
            archive.writestr("index.html", f"<!DOCTYPE html>\n{page}")
            for name, content in files.items():
                archive.writestr(name, content)
        return output.getvalue()

    def _sort_for_reading(self, found):
        """Who it is comes first, then what the library adds, then the rest."""
        first = {name: place for place, name in enumerate(PERSON)}
        return sorted(
            found.items(),
            key=lambda item: (
                first.get(item[0], 9),
                not item[0].startswith("library."),
                item[0],
            ),
        )

    def _get_files(self, found):
        """The files that were filed about the person, by their name in the copy."""
        files = {}
        for attachment in found.get("ir.attachment") or ():
            if attachment.type != "binary" or not attachment.raw:
                continue
            if attachment.res_field and attachment.res_field != "image_1920":
                continue  # a smaller picture of the same
            name = re.sub(r"[^\w.-]+", "_", attachment.name or "file").strip("._")
            files[f"files/{len(files) + 1}_{name[-80:]}"] = attachment.raw
        return files

    def _get_others(self, found):
        """What would tell who somebody else is: names and addresses of the family and
        of the staff, longest first, without what is the person's own."""
        patron = self.sudo()
        contacts = (
            patron.guardian_id
            | patron.dependant_ids
            | patron.household_id.patron_ids - patron
        ).partner_id
        staff = patron.liaison_id.partner_id
        for records in found.values():
            for name in ("user_id", "author_id", "create_uid"):
                field = records._fields.get(name)
                if field and field.comodel_name in ("res.users", "res.partner"):
                    people = records[name].sudo()
                    staff |= (
                        people.partner_id if people._name == "res.users" else people
                    )
        contacts = (contacts | staff) - patron.partner_id
        own = {patron.complete_name, patron.email_normalized, patron.phone}
        told = {
            value
            for contact in contacts
            for value in (contact.name, contact.email, contact.phone)
            if value and len(value) > 3
        }
        return sorted(told - own, key=len, reverse=True)

    def _tell_records(self, records, others):
        """Records in words, each field with what it is called."""
        names = [
            name for name in records._fields if self._is_told(records._fields[name])
        ]
        labels = {
            name: records._fields[name]._description_string(self.env) for name in names
        }
        return {
            "model": records._name,
            "name": self.env["ir.model"]._get(records._name).name,
            "records": [
                [
                    {"name": name, "label": labels[name], "value": value, "text": text}
                    for name in names
                    for value, text in [self._tell(record, name, others)]
                    if value not in (None, False, "", [], {})
                ]
                for record in records.sorted("id")
            ],
        }

    @api.model
    def _is_told(self, field):
        return (
            field.store
            and field.name not in ("id", "create_uid", "write_uid", "write_date")
            and field.type not in ("binary", "one2many", "many2one_reference")
            and field.groups != NO_ACCESS
            and not SECRET.search(field.name)
            # Who else it is, is theirs; who it is, is known.
            and not (field.relational and field.comodel_name in PERSON)
            and not field.name.startswith(("guardian_", "message_main_"))
        )

    def _tell(self, record, name, others):
        """:return: the value for machines, and the text to read"""
        field, value = record._fields[name], record[name]
        if field.relational:
            names = [row.display_name or "" for row in value]
            value = ", ".join(names)
            text = value
        elif field.type == "date":
            text = value and format_date(self.env, value)
            value = fields.Date.to_string(value)
        elif field.type == "datetime":
            text = value and format_datetime(self.env, value)
            value = fields.Datetime.to_string(value)
        elif field.type == "selection":
            text = dict(field._description_selection(self.env)).get(value, value)
        elif field.type == "html":
            text = value and html2plaintext(value)
            value = str(value or "")
        elif field.type in ("json", "properties"):
            value = json.loads(json.dumps(value or None, default=str))
            text = json.dumps(value, ensure_ascii=False) if value else ""
        elif field.type == "boolean":
            text = self.env._("Yes") if value else ""
        else:
            text = str(value) if value or value == 0 else ""
        for other in others:
            if isinstance(value, str):
                value = value.replace(other, "…")
            if isinstance(text, str):
                text = text.replace(other, "…")
        return value, text

    def action_export_personal_data(self):
        """Give out a copy; see ``controllers/privacy.py``."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/library_crm/copy/{self.id}",
            "target": "download",
        }
