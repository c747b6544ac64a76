from datetime import timedelta

from odoo import fields, http
from odoo.exceptions import MissingError, UserError, ValidationError
from odoo.fields import Domain
from odoo.http import request

from odoo.addons.library_crm.controllers.portal import LibraryPortal

_PAGE = "/my/library/<int:patron_id>/challenges/<int:challenge_id>"


class LibraryChallengePortal(LibraryPortal):
    """Challenges and badges in the portal: of the patron, and of those whom the patron
    guards. Whose they are is asked of ``_get_library_patrons``, as on all its pages."""

    def _get_library_entry(self, patron_sudo, challenge_id):
        return patron_sudo.env["library.challenge.entry"].search(
            [("patron_id", "=", patron_sudo.id), ("challenge_id", "=", challenge_id)]
        )

    def _prepare_library_challenge_values(self, patron_sudo):
        """What is going on for one patron: challenges that they are in, the newest
        first, those that they may begin, and their badges."""
        Entry = patron_sudo.env["library.challenge.entry"]
        entries = Entry.search(
            [("patron_id", "=", patron_sudo.id), ("challenge_id.active", "=", True)]
        )
        return {
            "entries": entries.sorted(lambda entry: entry.challenge_id.state == "over"),
            "offers": patron_sudo.env["library.challenge"]._get_offered(patron_sudo),
            "awards": patron_sudo.env["library.badge.award"].search(
                [("patron_id", "=", patron_sudo.id)]
            ),
        }

    def _prepare_library_patron_values(self, patron_sudo, notice=None):
        return {
            **super()._prepare_library_patron_values(patron_sudo, notice),
            **self._prepare_library_challenge_values(patron_sudo),
        }

    # ------------------------------------------------------------
    # PAGES
    # ------------------------------------------------------------

    @http.route(
        "/my/library/challenges", type="http", auth="user", website=True, readonly=True
    )
    def portal_my_library_challenges(self, **kwargs):
        patrons_sudo = self._get_library_patrons()
        return request.render(
            "library_crm_loyalty.portal_my_library_challenges",
            {
                **self._prepare_portal_layout_values(),
                "page_name": "library_challenges",
                "people": [
                    {
                        "patron": patron_sudo,
                        **self._prepare_library_challenge_values(patron_sudo),
                    }
                    for patron_sudo in patrons_sudo
                ],
            },
        )

    @http.route(_PAGE, type="http", auth="user", website=True, readonly=True)
    def portal_my_library_challenge(self, patron_id, challenge_id, **kwargs):
        return self._show_challenge(patron_id, challenge_id)

    def _show_challenge(self, patron_id, challenge_id, error=None, typed=None):
        """The page of a patron's challenge.

        :param str error: why what was sent was refused
        :param dict typed: what was sent then
        """
        try:
            patron_sudo = self._get_library_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        entry = self._get_library_entry(patron_sudo, challenge_id)
        challenge = entry.challenge_id
        if not entry:
            offers = patron_sudo.env["library.challenge"]._get_offered(patron_sudo)
            challenge = offers.filtered(lambda offer: offer.id == challenge_id)
        if not challenge:
            return request.redirect("/my/library/challenges")
        today = challenge._today()
        ticked, undoable = challenge.square_ids.browse(), challenge.square_ids.browse()
        if entry and challenge.goal_kind == "bingo":
            ticked, undoable = entry._get_ticked()
        return request.render(
            "library_crm_loyalty.portal_my_library_challenge",
            {
                **self._prepare_portal_layout_values(),
                "page_name": "library_challenges",
                "patron": patron_sudo,
                "is_own": patron_sudo.partner_id == request.env.user.partner_id,
                "entry": entry,
                "challenge": challenge,
                "today": today,
                "first_day": max(
                    challenge.date_from, today - timedelta(days=challenge.log_days)
                ),
                "last_day": min(challenge.date_to, today),
                "ticked": ticked,
                "undoable": undoable,
                "board": entry and entry._get_leaderboard(),
                "may_choose_nickname": self._may_choose_nickname(patron_sudo),
                "error": error,
                "typed": typed or {},
            },
        )

    def _may_choose_nickname(self, patron_sudo):
        """Whoever agrees for the patron: themselves, or for a minor the guardian."""
        own = self._get_library_patrons(
            Domain("partner_id", "=", request.env.user.partner_id.id)
        )
        return patron_sudo in own._get_spoken_for()

    # ------------------------------------------------------------
    # WHAT THE PATRON DOES
    # ------------------------------------------------------------

    def _change_challenge(self, patron_id, challenge_id, change, typed=None):
        """Let somebody change their part in a challenge.

        :param change: is called with the patron as superuser and their entry, which
            may be none; what it refuses is told on the page, and nothing is kept
        """
        try:
            patron_sudo = self._get_library_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        entry = self._get_library_entry(patron_sudo, challenge_id)
        try:
            with request.env.cr.savepoint():
                change(patron_sudo, entry)
        except UserError as error:
            return self._show_challenge(
                patron_id, challenge_id, error=str(error), typed=typed
            )
        return request.redirect(f"/my/library/{patron_id}/challenges/{challenge_id}")

    @http.route(
        f"{_PAGE}/join", type="http", auth="user", methods=["POST"], website=True
    )
    def portal_my_library_challenge_join(
        self, patron_id, challenge_id, team=None, **kwargs
    ):
        def join(patron_sudo, entry):
            if entry:
                return
            offers = patron_sudo.env["library.challenge"]._get_offered(patron_sudo)
            challenge = offers.filtered(lambda offer: offer.id == challenge_id)
            teams = challenge.team_ids.filtered(lambda one: str(one.id) == team)
            if challenge.is_team_goal and not teams:
                raise UserError(request.env._("Choose the class or team first."))
            if challenge:
                challenge._enrol(patron_sudo, teams)

        return self._change_challenge(patron_id, challenge_id, join)

    @http.route(
        f"{_PAGE}/leave", type="http", auth="user", methods=["POST"], website=True
    )
    def portal_my_library_challenge_leave(self, patron_id, challenge_id, **kwargs):
        def leave(patron_sudo, entry):
            if entry.finished_on:
                raise UserError(
                    request.env._("This challenge is finished: there is nothing to do.")
                )
            entry.unlink()

        return self._change_challenge(patron_id, challenge_id, leave)

    @http.route(
        f"{_PAGE}/log", type="http", auth="user", methods=["POST"], website=True
    )
    def portal_my_library_challenge_log(
        self, patron_id, challenge_id, date="", minutes="", quick=None, **kwargs
    ):
        def log(patron_sudo, entry):
            self._log(
                entry,
                date=self._read_day(date),
                minutes=self._read_minutes(quick or minutes),
            )

        return self._change_challenge(
            patron_id, challenge_id, log, typed={"date": date, "minutes": minutes}
        )

    @http.route(
        f"{_PAGE}/tick", type="http", auth="user", methods=["POST"], website=True
    )
    def portal_my_library_challenge_tick(
        self, patron_id, challenge_id, tick=None, untick=None, **kwargs
    ):
        """Tick a square or untick it; a second tap on the same button changes
        nothing."""

        def change(patron_sudo, entry):
            challenge = entry.challenge_id
            asked = challenge.square_ids.filtered(
                lambda square: str(square.id) == (tick or untick)
            )
            ticks = entry.log_ids.filtered(lambda row: row.square_id in asked)
            if untick:
                self._undo(ticks)
            elif asked and not ticks:
                day = min(challenge._today(), challenge.date_to)
                self._log(entry, date=day, square_id=asked.id)

        return self._change_challenge(patron_id, challenge_id, change)

    @http.route(
        f"{_PAGE}/undo", type="http", auth="user", methods=["POST"], website=True
    )
    def portal_my_library_challenge_undo(
        self, patron_id, challenge_id, log="", **kwargs
    ):
        def undo(patron_sudo, entry):
            self._undo(entry.log_ids.filtered(lambda row: str(row.id) == log))

        return self._change_challenge(patron_id, challenge_id, undo)

    @http.route(
        f"{_PAGE}/leaderboard", type="http", auth="user", methods=["POST"], website=True
    )
    def portal_my_library_challenge_leaderboard(
        self, patron_id, challenge_id, nickname="", **kwargs
    ):
        """Stand on the leaderboard, for whoever agrees for the patron; or leave it,
        which everybody may."""

        def choose(patron_sudo, entry):
            if not entry:
                return
            if not nickname:
                entry.action_leave_leaderboard()
            elif self._may_choose_nickname(patron_sudo):
                entry._join_leaderboard(nickname)
            else:
                raise UserError(
                    request.env._("Your guardian decides about the leaderboard.")
                    if patron_sudo.partner_id == request.env.user.partner_id
                    else request.env._("This patron decides about the leaderboard.")
                )

        return self._change_challenge(
            patron_id, challenge_id, choose, typed={"nickname": nickname}
        )

    @http.route(
        f"{_PAGE}/certificate", type="http", auth="user", website=True, readonly=True
    )
    def portal_my_library_challenge_certificate(
        self, patron_id, challenge_id, **kwargs
    ):
        try:
            patron_sudo = self._get_library_patron(patron_id)
        except MissingError:
            return request.redirect("/my")
        entry = self._get_library_entry(patron_sudo, challenge_id)
        if not entry.finished_on or not entry.has_certificate:
            return request.redirect("/my/library/challenges")
        return self._show_library_report(
            "library_crm_loyalty.library_challenge_certificate",
            entry,
            "certificate.pdf",
        )

    def _log(self, entry, **values):
        if not entry:
            return
        is_own = entry.patron_id.partner_id == request.env.user.partner_id
        entry.env["library.challenge.log"].create(
            {
                "entry_id": entry.id,
                "logged_by": "patron" if is_own else "guardian",
                **values,
            }
        )

    def _undo(self, logs):
        if not all(logs.mapped("is_undoable")):
            raise UserError(
                request.env._(
                    "This was too long ago to undo it here. The library can still do "
                    "it."
                )
            )
        logs.unlink()

    def _read_minutes(self, text):
        """:raise ValidationError: if it is no number of minutes"""
        text = (text or "").strip()
        if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4):
            raise ValidationError(
                request.env._(
                    "A number of minutes is expected, “%(found)s” was found.",
                    found=text[:20],
                )
            )
        if not 1 <= int(text) <= 24 * 60:
            raise ValidationError(
                request.env._("The minutes of one day are 1 to 1,440.")
            )
        return int(text)

    def _read_day(self, text):
        """:raise ValidationError: if it is no day"""
        try:
            day = fields.Date.to_date((text or "").strip())
        except ValueError:
            day = None
        if not day:
            raise ValidationError(
                request.env._(
                    "A day is expected, “%(found)s” was found.", found=text[:20]
                )
            )
        return day
