import re

from markupsafe import Markup

from odoo import api, fields, models, tools
from odoo.fields import Domain
from odoo.tools import email_normalize

#: What stands in a mailing for the page of the reader's own year. Odoo does not shorten
#: links that end like this.
YEAR_LINK = "/library_crm/year/view"
YEAR_LINK_REGEX = re.compile(rf"""(href=["'])[^"']*{YEAR_LINK}(["'])""")


class MailMail(models.Model):
    """A mailing shows each patron the way to their preferences, whatever its design.

    What was written to many is asked once more when it leaves the queue: who has taken
    back the consent since, or was erased, is not written to. What waits for somebody
    who takes it back now is taken out of the queue at once.
    """

    _inherit = "mail.mail"
    _library_personal_data = {
        "*": "setting",
        "email_to": "message",
        "email_cc": "message",
        "recipient_ids": "message",
        "body_html": "message",
    }

    library_purpose_id = fields.Many2one(
        "library.consent.purpose",
        string="Purpose",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="What whoever gets it must have agreed to; empty: nobody was asked.",
    )

    # ------------------------------------------------------------
    # RECALLED FROM THE QUEUE
    # ------------------------------------------------------------

    def send(self, auto_commit=False, raise_exception=False, post_send_callback=None):
        self._recall_refused()
        return super().send(
            auto_commit=auto_commit,
            raise_exception=raise_exception,
            post_send_callback=post_send_callback,
        )

    @api.model
    def _get_queued_for(self, patrons):
        """The mails in the queue that are about these patrons or what is theirs, or go
        to their contacts, as far as they need consent. Look-ups in an index.

        :return: ``mail.mail`` as superuser
        """
        Mail = self.sudo().with_context(prefetch_fields=False)
        is_queued = Domain("state", "=", "outgoing") & Domain(
            "library_purpose_id.is_refusable", "=", True
        )
        found = Mail.search(
            is_queued & Domain("recipient_ids", "in", patrons.sudo().partner_id.ids)
        )
        for records in (patrons, *self._get_library_belongings(patrons)):
            found |= Mail.search(
                is_queued
                & Domain("model", "=", records._name)
                & Domain("res_id", "in", records.ids)
            )
        return found

    @api.model
    def _get_library_belongings(self, patrons):
        """What is of these patrons and mail may be about.

        :return: recordsets as superuser, one a model
        """
        for name in sorted(
            self.env.registry.descendants(["library.mail.mixin"], "_inherit")
        ):
            Model = self.env[name].sudo().with_context(active_test=False)
            if not Model._abstract:
                yield Model.search([(Model._library_patron_field, "in", patrons.ids)])

    def _recall_refused(self):
        """Take those of these mails out of the queue whose recipients do not agree any
        more to what they are about.

        Cost: a look-up of the ledger for each purpose, library and model.
        """
        queued = (
            self.sudo()
            .with_context(prefetch_fields=False)
            .search(
                Domain("id", "in", self.ids)
                & Domain("state", "=", "outgoing")
                & Domain("library_purpose_id.is_refusable", "=", True)
            )
        )
        refused = queued.browse()
        for (purpose, company), mails in queued.grouped(
            lambda mail: (mail.library_purpose_id, mail._get_library_company())
        ).items():
            refused |= mails._filter_refused(purpose, company)
        refused._recall()

    def _get_library_company(self):
        """The library that writes."""
        self.ensure_one()
        if self.mailing_id:
            return self.mailing_id._get_library_consent_needed()["company"]
        return self.record_company_id or self.create_uid.company_id

    def _filter_refused(self, purpose, company):
        """Those of these mails that may not be sent: found by the record they are
        about, or by whom they go to where they are about none. What is about something
        of a patron goes to nobody but who reads the patron's mail, unless they agreed
        themselves."""
        Consent = self.env["library.consent"]
        refused = self.browse()
        for model, mails in self.grouped("model").items():
            if not model:
                refused |= mails._filter_refused_by_recipient(purpose, company)
                continue
            records = self.env[model].browse(set(mails.mapped("res_id"))).exists()
            reachable = Consent._filter_reachable(records, purpose, company=company)
            owner = Consent._get_patron_field(records)
            known = (
                mails
                if owner
                else mails.filtered(
                    lambda mail, records=records: mail.res_id in records._ids
                )
            )
            unreachable = known.filtered(
                lambda mail, reachable=reachable: mail.res_id not in reachable._ids
            )
            refused |= unreachable
            if owner and owner != "id":
                refused |= (mails - unreachable)._filter_refused_by_recipient(
                    purpose, company, reachable._mail_get_partners()
                )
        return refused

    def _filter_refused_by_recipient(self, purpose, company, asked=None):
        """Those of these mails that go to somebody who may not be written to.

        :param dict asked: contacts who need not be asked again, by the id of the record
        """
        Consent = self.env["library.consent"]
        asked = asked or {}
        contacts = self.recipient_ids.browse()
        emails = set()
        for mail in self:
            readers = asked.get(mail.res_id, contacts.browse())
            contacts |= mail.recipient_ids - readers
            if mail.email_to and email_normalize(mail.email_to) not in readers.mapped(
                "email_normalized"
            ):
                emails.add(mail.email_to)
        contacts -= Consent._filter_reachable(contacts, purpose, company=company)
        emails -= set(
            Consent._filter_reachable_emails(list(emails), purpose, company=company)
        )
        return self.filtered(
            lambda mail: (
                (mail.recipient_ids - asked.get(mail.res_id, contacts.browse()))
                & contacts
                or mail.email_to in emails
            )
        )

    def _recall(self):
        """Take these mails out of the queue; the trace of a mailing says why."""
        why = {"failure_type": "mail_optout"}
        self.mailing_trace_ids.write({**why, "trace_status": "cancel"})
        self.write({**why, "state": "cancel"})

    # ------------------------------------------------------------
    # THE WAY TO THE PREFERENCES
    # ------------------------------------------------------------

    def _prepare_outgoing_list(self, mail_server=False, doc_to_followers=None):
        mails = super()._prepare_outgoing_list(
            mail_server=mail_server, doc_to_followers=doc_to_followers
        )
        mailing = self.mailing_id.sudo()
        if not mailing or not self.res_id:
            return mails
        for mail in mails:
            email = mail["email_to"][0] if mail["email_to"] else ""
            url = mailing._get_library_preferences_url(self.res_id, email)
            if not url:
                continue
            purpose = mailing.library_purpose_id
            if purpose and not purpose.is_refusable:
                # The button of a mail program would promise what can not be kept.
                for header in ("List-Unsubscribe", "List-Unsubscribe-Post"):
                    mail["headers"].pop(header, None)
            mail["body"] = self._fill_in_year_link(mail["body"], email)
            if "/library_crm/preferences/" not in (mail["body"] or ""):
                mail["body"] = tools.mail.append_content_to_html(
                    mail["body"], self._get_library_footer(url), plaintext=False
                )
        return mails

    def _fill_in_year_link(self, body, email):
        """Lead to the page of the reader's own year. The mail itself has no figure of
        anybody's use: it lies in queues and mailboxes."""
        if not body or YEAR_LINK not in body:
            return body
        reader = self.mailing_id.sudo()._get_library_reader(self.res_id, email)
        return YEAR_LINK_REGEX.sub(
            lambda match: f"{match[1]}{reader._get_link('year')}{match[2]}", body
        )

    def _get_library_footer(self, url):
        patron = self.env["library.patron"].sudo()
        if self.model == patron._name:
            patron = patron.browse(self.res_id)
        env = self.with_context(lang=patron.lang or self.env.lang).env
        return Markup(
            '<p style="font-size: 12px; text-align: center"><a href="%s">%s</a></p>'
        ) % (url, env._("Choose what the library may write to you about"))
