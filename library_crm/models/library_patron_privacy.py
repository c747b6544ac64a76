from dateutil.relativedelta import relativedelta

from odoo import fields, models
from odoo.fields import NO_ACCESS, Domain
from odoo.tools import SQL, plaintext2html


class LibraryPatron(models.Model):
    """The rights of a patron: a copy of what is held, a correction, to object, to be
    forgotten. A minor's guardian has them.

    An objection holds at once. A correction and an erasure are asked for and done by
    people, within a month: the library may have to ask for a book first, and nobody is
    erased by whoever found a telephone that was logged in.
    """

    _inherit = "library.patron"
    _library_personal_data = {"privacy_sent_at": "contact"}

    #: What somebody can object to: the kinds of purposes, and on which channels.
    _OBJECTIONS = {"profiling": ("profiling",), "marketing": ("marketing", "survey")}
    #: The law gives a month (GDPR, Article 12.3).
    _PRIVACY_ANSWER = relativedelta(months=1)
    _LONGEST_WISH = 2000

    privacy_sent_at = fields.Datetime(
        string="Link to the Own Data Sent", copy=False, groups=NO_ACCESS
    )

    # ------------------------------------------------------------
    # OBJECT
    # ------------------------------------------------------------

    def _get_objection_purposes(self, kind):
        return self.env["library.consent.purpose"].search(
            [("kind", "in", self._OBJECTIONS[kind]), ("is_refusable", "=", True)]
        )

    def _get_channels_not_objected(self, kind):
        """On which channels the newest word on any purpose of the kind is not no.

        :rtype: list[tuple[library.consent.purpose, str]]
        """
        self.ensure_one()
        Consent = self.env["library.consent"]
        purposes = self._get_objection_purposes(kind)
        newest = Consent._get_newest(self, purposes)
        return [
            (purpose, channel)
            for purpose in purposes
            for channel, _label in Consent._fields["channel"].selection
            if newest.get((self.id, purpose.id, channel), Consent).state != "withdrawn"
        ]

    def _has_objected(self, kind):
        return not self._get_channels_not_objected(kind)

    def _object(self, kind, source="desk"):
        """These patrons object: to figures about their use, or to any mail that is no
        part of the service. It holds at once: figures are forgotten, mail in a queue is
        taken out of it. The ledger says when and how.

        The caller has made sure that the user may speak for them.

        :param str kind: ``profiling`` or ``marketing``
        :param str source: how it was said; as in ``library.consent``
        :return: the new rows of the ledger
        """
        rows = self.env["library.consent"]
        for patron in self:
            for purpose, channel in patron._get_channels_not_objected(kind):
                rows += self.env["library.consent"]._record(
                    patron, purpose, channel, "withdrawn", source
                )
        return rows

    # ------------------------------------------------------------
    # ASK FOR A CORRECTION, OR TO BE FORGOTTEN
    # ------------------------------------------------------------

    def _get_open_privacy_requests(self, kind):
        """As superuser, since patrons have no rights on requests."""
        return (
            self.env["crm.lead"]
            .sudo()
            .search(
                Domain("library_patron_id", "in", self.ids)
                & Domain("library_request_kind", "=", kind)
                & Domain("won_status", "=", "pending")
            )
        )

    def _request_privacy(self, kind, wish=""):
        """Pass it on to the staff, with the day by which the law wants it done: one
        open request of a kind at most. Who wants to be forgotten is reckoned and
        written to no more from now on.

        The caller has made sure that the user may speak for this patron.

        :param str kind: ``correction`` or ``erasure``
        :param str wish: in the words of whoever asks
        :return: the request; none where one is open
        """
        self.ensure_one()
        # Of two sent at once the second waits, and is tried again by Odoo.
        self.env.cr.execute(
            SQL("UPDATE library_patron SET id = id WHERE id = %s", self.id)
        )
        if self._get_open_privacy_requests(kind):
            return self.env["crm.lead"]
        patron = self.sudo().with_company(self.company_id)
        if kind == "erasure":
            patron._object("profiling", "portal")
            patron._object("marketing", "portal")
        lead = (
            patron.env["crm.lead"]
            .with_context(mail_create_nosubscribe=True)
            .create(patron._prepare_privacy_request_values(kind, wish))
        )
        responsible = lead.user_id or lead.team_id.user_id
        if responsible:
            lead.activity_schedule(
                "mail.mail_activity_data_todo",
                lead.date_deadline,
                summary=lead.name,
                user_id=responsible.id,
            )
        return lead

    def _prepare_privacy_request_values(self, kind, wish):
        """Values of the request, in the library's language; a hook."""
        lang = self.company_id.partner_id.lang or self.env.lang
        env = self.with_context(lang=lang).env
        names = {
            "correction": env._("Correct the data of %(patron)s", patron=self.name),
            "erasure": env._("Erase the data of %(patron)s", patron=self.name),
        }
        return {
            "name": names[kind],
            "library_request_kind": kind,
            "library_patron_id": self.id,
            "company_id": self.company_id.id,
            "user_id": self.liaison_id.id,
            "date_deadline": self.company_id._get_library_today()
            + self._PRIVACY_ANSWER,
            "description": plaintext2html((wish or "")[: self._LONGEST_WISH]),
        }

    def _send_privacy_link(self):
        """Send the link to the page of the own data, but not again and again. To be
        called with sudo."""
        now = fields.Datetime.now()
        patrons = self.filtered(
            lambda patron: (
                not patron.privacy_sent_at
                or patron.privacy_sent_at <= now - self._LINK_PAUSE
            )
        )
        patrons.privacy_sent_at = now
        patrons._send_link("library_crm.mail_template_privacy")

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_object_profiling(self):
        return self._action_object("profiling")

    def action_object_marketing(self):
        return self._action_object("marketing")

    def _action_object(self, kind):
        self.check_access("write")
        self._object(kind)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("The ledger of consents says so from now on."),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def action_erase(self):
        """Open the dialogue that says what would be removed and kept."""
        asked = self._get_open_privacy_requests("erasure")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Erase"),
            "res_model": "library.patron.erase",
            "view_mode": "form",
            "target": "new",
            "context": {
                "default_patron_ids": self.ids,
                "default_origin": "person" if asked else "staff",
            },
        }
