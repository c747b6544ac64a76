import re

from lxml import html
from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import email_normalize
from odoo.tools.rendering_tools import parse_inline_template

# What a shipped text leaves to be filled in when the mail is sent.
_PLACEHOLDER = re.compile(r"\{\{\s*(.+?)\s*\}\}")
# Mail programs know no style sheets, so the style stands at each of them.
_STYLES = {"p": "margin: 16px 0;", "ul": "margin: 16px 0; padding: 0 24px;"}
_WITHOUT_STYLE = re.compile(r"<(p|ul)(?=[ >])(?![^>]*\bstyle=)")


class MailingMailing(models.Model):
    """A mailing names its purpose and reaches, of patrons, only those who agreed,
    whether it is written to patrons or to contacts, leads or lists that they are in."""

    _inherit = "mailing.mailing"
    _library_personal_data = {"*": "setting"}

    library_purpose_id = fields.Many2one(
        "library.consent.purpose",
        string="Purpose",
        compute="_compute_library_purpose_id",
        store=True,
        readonly=False,
        ondelete="restrict",
        index="btree_not_null",
        help="Only patrons who agreed to this purpose are written to.",
    )

    library_reach = fields.Char(
        compute="_compute_library_reach",
        help="How many of the recipients agreed to the purpose.",
    )

    library_segment_id = fields.Many2one(
        "library.segment",
        string="Segment",
        compute="_compute_library_segment_id",
        store=True,
        index="btree_not_null",
        ondelete="set null",
        help="The one that the recipients are chosen by.",
    )
    library_journey_id = fields.Many2one(
        "library.journey",
        string="Journey",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The mail is a step of this journey, and sent by it alone.",
    )
    library_is_private = fields.Boolean(
        compute="_compute_library_is_private",
        store=True,
        string="Private",
        help="Having got it tells when somebody was born or what they used, so "
        "marketing sees its numbers and no names.",
    )
    library_view_id = fields.Many2one(
        "ir.ui.view",
        string="Text That Came Along",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The mail says what this text says, until somebody changes the mail.",
    )
    library_is_changed = fields.Boolean(
        string="Changed Here",
        readonly=True,
        copy=False,
        help="The mail says something else than the text that came along, and is not "
        "renewed with it.",
    )
    library_original_id = fields.Many2one(
        "mailing.mailing",
        string="Translation of",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="cascade",
    )
    library_translation_ids = fields.One2many(
        "mailing.mailing", "library_original_id", string="Translations"
    )
    library_lang = fields.Selection(
        lambda self: self.env["res.lang"].get_installed(),
        string="Written in",
        copy=False,
        help="Patrons with this language get this text instead.",
    )

    @api.depends("mailing_model_id")
    def _compute_library_purpose_id(self):
        news = self.env.ref(
            "library_crm.library_consent_purpose_news", raise_if_not_found=False
        )
        for mailing in self:
            mailing.library_purpose_id = mailing.library_purpose_id or news

    @api.depends("mailing_domain", "mailing_model_id")
    def _compute_library_segment_id(self):
        for mailing in self:
            mailing.library_segment_id = (
                self.env["library.segment"]._find_addressed(
                    mailing._parse_mailing_domain()
                )
                if mailing.mailing_model_real == "library.patron"
                else False
            )

    # A segment may have changed since, so it is asked again when the mailing leaves.
    @api.depends(
        *("library_journey_id.is_private", "mailing_domain", "mailing_model_id"),
        "state",
    )
    def _compute_library_is_private(self):
        for mailing in self:
            mailing.library_is_private = mailing._is_library_private()

    def _is_library_private(self):
        """Whether having got it tells what marketing may not know; a hook."""
        if self.library_journey_id:
            return self.library_journey_id.is_private
        return self.mailing_model_real == "library.patron" and any(
            self.env["library.segment"]
            ._find_asked(self._parse_mailing_domain())
            .mapped("is_private")
        )

    @api.depends("mailing_domain", "library_purpose_id", "mailing_model_id")
    def _compute_library_reach(self):
        for mailing in self:
            if not mailing.mailing_model_real:
                mailing.library_reach = False
                continue
            Model = self.env[mailing.mailing_model_real]
            agreed, total = mailing._count_library_recipients(Model)
            if Model._name == "library.patron":
                mailing.library_reach = self.env._(
                    "%(agreed)s of %(total)s chosen patrons agreed and will be "
                    "written to.",
                    agreed=agreed,
                    total=total,
                )
            elif agreed < total:
                mailing.library_reach = self.env._(
                    "%(refused)s of %(total)s are left out: patrons who did not agree.",
                    refused=total - agreed,
                    total=total,
                )
            else:
                mailing.library_reach = False

    def _count_library_recipients(self, Model):
        """
        :return: how many of the chosen recipients agreed, and how many were chosen
        """
        chosen, agreed = self._parse_mailing_domain(), self._get_recipients_domain()
        if (
            Model._name == "library.patron"
            and self.env["library.segment"]._find_alone(chosen)._filter_unlisted()
        ):
            return Model._count_unlisted(agreed), Model.search_count(chosen)
        return Model.search_count(agreed), Model.search_count(chosen)

    @api.model_create_multi
    def create(self, vals_list):
        mailings = super().create(
            [
                {**self._prepare_shipped_values(vals["library_view_id"]), **vals}
                if vals.get("library_view_id")
                else vals
                for vals in vals_list
            ]
        )
        mailings._check_library_domain()
        return mailings

    def write(self, vals):
        changed = self._filter_changed(vals)
        result = super().write(vals)
        if "library_is_changed" not in vals:
            changed.library_is_changed = True
        if {"mailing_domain", "mailing_model_id", "mailing_filter_id"} & vals.keys():
            self._check_library_domain()
        return result

    def _check_library_domain(self):
        for mailing in self:
            self.env["library.patron"]._check_recipients(
                mailing.mailing_model_real, mailing._parse_mailing_domain()
            )

    def _get_recipients_domain(self):
        """Leave out who did not agree, whatever domain the mailing was given."""
        return super()._get_recipients_domain() & self.env[
            "library.consent"
        ]._get_reachable_domain(
            self.mailing_model_real, **self._get_library_consent_needed()
        )

    def _get_library_consent_needed(self):
        """What whoever gets the mailing must have agreed to: its purpose and channel,
        and the library that writes, which is that of the responsible. A mail of a
        journey, in any language, has the purpose of the journey."""
        self.ensure_one()
        original = self.library_original_id or self
        return {
            "purpose": original.library_journey_id.purpose_id
            or self.library_purpose_id,
            # Other types than mail (text messages) go to the phone.
            "channel": "email" if self.mailing_type == "mail" else "phone",
            "company": (self.user_id or self.create_uid or self.env.user).company_id,
        }

    # ------------------------------------------------------------
    # THE WAY OUT
    # ------------------------------------------------------------

    def _get_library_patrons(self, res_id, email):
        """The patrons whom a mail of this mailing was meant for.

        :param res_id: the record that it was sent about
        :param str email: the address that it was sent to; a patron who has another one
            by now is left out
        :return: ``library.patron`` as superuser
        """
        self.ensure_one()
        record = self.env[self.mailing_model_real].sudo().browse(int(res_id)).exists()
        Consent = self.env["library.consent"].sudo()
        if not record:
            patrons = self.env["library.patron"].sudo()
        elif record._name == "library.patron":
            patrons = record
        else:
            patrons = Consent._get_patrons_of(*Consent._get_people(record))
        address = email_normalize(email, strict=False)
        speakers = patrons._get_speakers()
        return patrons.filtered(
            lambda patron: (
                address
                and address
                in (patron.email_normalized, speakers[patron].email_normalized)
            )
        )

    def _get_library_reader(self, res_id, email):
        """The patron who reads what was sent to this address: the guardian where it is
        about a child. None for who is no patron."""
        address = email_normalize(email, strict=False)
        patrons = self._get_library_patrons(res_id, email)
        company = self._get_library_consent_needed()["company"]
        readers = patrons.browse().union(*patrons._get_speakers().values(), patrons)
        return readers.filtered(
            lambda patron: patron.email_normalized == address
        ).sorted(lambda patron: patron.company_id != company)[:1]

    def _get_library_preferences_url(self, res_id, email):
        """Where whoever got the mail says what the library may write about; empty for
        who is no patron."""
        reader = self._get_library_reader(res_id, email)
        return reader._get_link("preferences") if reader else ""

    def _get_unsubscribe_url(self, email_to, res_id):
        """To a patron: the page of preferences, where one thing can be stopped without
        the others."""
        return self._get_library_preferences_url(
            res_id, email_to
        ) or super()._get_unsubscribe_url(email_to, res_id)

    def _withdraw_library_consent(self, patrons):
        """Stop what this mailing is about; to be called with sudo."""
        needed = self._get_library_consent_needed()
        Consent = self.env["library.consent"].sudo()
        newest = Consent._get_newest(patrons, needed["purpose"], [needed["channel"]])
        agreed = patrons.browse(
            [row.patron_id.id for row in newest.values() if row.state != "withdrawn"]
        )
        return Consent._record(
            agreed, needed["purpose"], needed["channel"], "withdrawn", "mail"
        )

    # ------------------------------------------------------------
    # JOURNEYS
    # ------------------------------------------------------------

    @api.constrains("state", "library_journey_id")
    def _check_library_journey(self):
        """The queue of mailings would send it to everybody at once, and once only."""
        for mailing in self:
            if mailing.library_journey_id and mailing.state != "draft":
                raise ValidationError(
                    self.env._(
                        "This mail is a step of the journey %(journey)s, which sends "
                        "it. Duplicate it to send it as a mailing.",
                        journey=mailing.library_journey_id.name,
                    )
                )

    def _get_seen_list(self):
        """A birthday comes again: who got a mail of a journey may get it once more.
        That nobody gets it twice for one occasion is held by the journey's events."""
        if self.library_journey_id:
            return set()
        return super()._get_seen_list()

    def _in_language(self, lang):
        """The text for a patron: in their language, where it was translated."""
        translated = self.library_translation_ids.filtered(
            lambda mailing: mailing.library_lang == lang
        )
        return translated[:1] or self

    def _copy_for_journey(self):
        """A copy with its translations, for another version of a step."""
        if not self:
            return self
        copied = self.copy(self._prepare_copy_for_journey())
        for translation in self.library_translation_ids:
            translation.copy(
                {
                    **translation._prepare_copy_for_journey(),
                    "library_original_id": copied.id,
                    "library_lang": translation.library_lang,
                }
            )
        return copied

    # ------------------------------------------------------------
    # TEXTS THAT COME ALONG
    # ------------------------------------------------------------

    @api.model
    def _get_shipped(self):
        """The mails that still say what came along."""
        return self.sudo().search(
            [("library_view_id", "!=", False), ("library_is_changed", "=", False)]
        )

    def _filter_changed(self, vals):
        """Those whose text is another one when these values are written."""
        texts = vals.keys() & {"subject", "preview", "body_arch", "body_html"}
        return self.filtered(
            lambda mailing: (
                mailing.library_view_id
                and not mailing.library_is_changed
                and any((mailing[name] or "") != (vals[name] or "") for name in texts)
            )
        )

    @api.model
    def _prepare_shipped_values(self, view_id):
        """Values of a new mail with a text that came along, in English: it is sent by
        the library of the patron, whoever installed it."""
        library = "{{ object.company_id.email_formatted or user.email_formatted }}"
        return {
            "email_from": library,
            "reply_to_mode": "new",
            "reply_to": library,
            **self._prepare_shipped_text(view_id, "en_US"),
        }

    @api.model
    def _prepare_shipped_text(self, view_id, lang):
        """A text that came along, in a language, or in English where it was not
        translated.

        :param int view_id: the ``ir.ui.view``
        :return: values of a ``mailing.mailing``
        :rtype: dict
        """
        direction = self.env["res.lang"]._get_data(code=lang).direction or "ltr"
        values = {
            "direction": direction,
            "side": "right" if direction == "rtl" else "left",
            "language": lang.split("_")[0],
        }

        def render(part):
            return (
                self.env["ir.qweb"]
                .with_context(lang=lang)
                ._render(view_id, {**values, "part": part}, minimal_qcontext=True)
                .strip()
            )

        body = _WITHOUT_STYLE.sub(
            lambda tag: f'{tag[0]} style="{_STYLES[tag[1]]}"', render("body")
        )
        body = Markup(_PLACEHOLDER.sub(self._fill_in, body))
        return {
            "subject": render("subject").unescape(),
            "preview": render("preview").unescape(),
            "body_html": body,
            "body_arch": body,
        }

    @api.model
    def _fill_in(self, placeholder):
        """What is filled in within a text, as Odoo's templates write it."""
        expression = placeholder[1]
        field = self.env["library.patron"]._fields.get(
            expression.removeprefix("object.")
        )
        options = (
            " t-options=\"{'widget': 'date'}\""
            if field and field.type == "date"
            else ""
        )
        return f'<t t-out="{expression}"{options}/>'

    def _has_unsafe_expression(self):
        """Where Odoo lets only some people write what is filled in from a record, the
        others can still change the words of a text that came along."""
        others = self.filtered(lambda one: not one._fills_in_what_came_along())
        return super(MailingMailing, others)._has_unsafe_expression()

    def _fills_in_what_came_along(self):
        """Whether the mail has a text that came along and fills in nothing that it did
        not."""
        self.ensure_one()
        mailing = self.sudo()
        known = mailing._prepare_known_values()
        values = {
            name: mailing[name]
            for name, field in mailing._fields.items()
            if field.store and field.type in ("char", "text", "html")
        }
        return bool(known) and self._find_fillings(values) <= self._find_fillings(known)

    def _prepare_known_values(self):
        """Values of the text that came along, or of which this is a translation; a
        hook for texts that come by other ways."""
        view = (self.library_original_id or self).library_view_id
        return self._prepare_shipped_values(view.id) if view else {}

    @api.model
    def _find_fillings(self, values):
        """What some texts have filled in when they are sent, and on what condition.

        :param dict values: of a mailing
        :return: directives of QWeb with their expressions
        :rtype: set[tuple[str, str]]
        """
        found = set()
        for text in filter(None, values.values()):
            text = str(text)
            found.update(
                ("t-out", expression)
                for _words, expression, _default in parse_inline_template(text)
                if expression
            )
            if "t-" not in text:
                continue
            for node in html.fragment_fromstring(text, create_parent="div").iter():
                found.update(
                    (name, expression.strip())
                    for name, expression in node.attrib.items()
                    if name.startswith("t-")
                )
        return found

    def _follow_shipped_text(self):
        """Let these mails say what came along, and write those that are missing in a
        language to which it is translated."""
        for mailing in self.filtered("library_view_id"):
            text = self._prepare_shipped_text(
                mailing.library_view_id.id, mailing.library_lang or "en_US"
            )
            mailing.write({**text, "library_is_changed": False})
            if not mailing.library_original_id:
                mailing._write_missing_languages()

    def _write_missing_languages(self):
        self.ensure_one()
        view_id = self.library_view_id.id
        there = self.library_translation_ids.mapped("library_lang")
        for lang, _name in self.env["res.lang"].get_installed():
            text = self._prepare_shipped_text(view_id, lang)
            is_translated = text["subject"] != self.subject
            if lang not in there and is_translated:
                self.copy(
                    {
                        "name": self.name,
                        "library_view_id": view_id,
                        "library_original_id": self.id,
                        "library_journey_id": self.library_journey_id.id,
                        "library_lang": lang,
                        **text,
                    }
                )

    def _prepare_copy_for_journey(self):
        return {
            "name": self.name,
            "library_view_id": self.library_view_id.id,
            "library_is_changed": self.library_is_changed,
        }

    def action_library_restore(self):
        """Take back what was changed in a text that came along."""
        self._follow_shipped_text()

    def action_library_translate(self):
        """Write the mail in another language: a copy to translate."""
        self.ensure_one()
        copied = self.copy(
            {
                "name": self.name,
                "library_original_id": (self.library_original_id or self).id,
                "library_journey_id": self.library_journey_id.id,
            }
        )
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "view_mode": "form",
            "res_id": copied.id,
        }

    def action_library_results(self):
        """What came of the mailing, by branch and month."""
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_mailing_result_action"
            ),
            "domain": [("mailing_id", "=", self.id)],
            "context": {},
        }

    def _queue_for_journey(self, patrons, lang=False):
        """Put one mail to each patron into the queue, with Odoo's composer, as
        ``_action_send_mail`` does; but without committing, so that the mails and what
        the journey writes about them are kept together or not at all.

        :param lang: which all of them read; the composer would ask for that of each
        :return: the ``mailing.trace`` of each, by patron id
        :rtype: dict
        """
        self.ensure_one()
        composer = (
            self.env["mail.compose.message"]
            .with_context(
                active_ids=patrons.ids,
                library_known_links={},
                library_known_texts={},
                **self._get_mass_mailing_context(),
            )
            .create(self._prepare_journey_composer_values(lang))
        )
        composer._action_send_mail(auto_commit=False)
        self.env.ref("mail.ir_cron_mail_scheduler_action").sudo()._trigger()
        traces = self.env["mailing.trace"].search(
            [
                ("library_patron_id", "in", patrons.ids),
                ("mass_mailing_id", "=", self.id),
            ],
            order="id",
        )
        return {trace.library_patron_id.id: trace for trace in traces}

    def _prepare_journey_composer_values(self, lang):
        return {
            "attachment_ids": [
                (4, attachment.id) for attachment in self.attachment_ids
            ],
            "author_id": self.user_id.partner_id.id,
            "auto_delete": not self.keep_archives,
            "auto_delete_keep_log": self.reply_to_mode == "update",
            "body": self._prepend_preview(self.body_html or "", self.preview),
            "composition_mode": "mass_mail",
            "email_from": self.email_from,
            "force_send": False,
            # Dates are written as the text around them.
            "lang": self.library_lang or lang,
            "mail_server_id": self.mail_server_id.id,
            "mass_mailing_id": self.id,
            "model": self.mailing_model_real,
            "reply_to": self.reply_to if self.reply_to_mode == "new" else False,
            "reply_to_force_new": self.reply_to_mode == "new",
            "subject": self.subject,
            "template_id": False,
            "use_exclusion_list": self.use_exclusion_list,
        }
