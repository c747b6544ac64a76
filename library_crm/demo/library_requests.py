"""The requests of the demo library, with what staff have planned and noted."""

from datetime import timedelta

from .request_texts import PATRON_NOTES, REQUEST_NOTES, REQUESTS, RIGHTS

#: Of ten requests, so many are answered within the five days that patrons expect.
ANSWERED_IN_TIME = 9
STAGES = {
    "acquisition": ("new", "contacted", "form", "joined"),
    "service": ("new", "doing", "waiting", "done"),
    "win_back": ("spotted", "written", "replied", "back"),
}


class DemoRequests:
    """The requests of a :class:`.library.DemoLibrary` whose patrons are there."""

    # Who joined is a patron now; who was won back has returned.
    _WHO_WHEN_DONE = {
        "joining": "new",
        "outreach": "institution",
        "win_back": "returned",
    }

    def __init__(self, library):
        self.library = library
        self.requests = library.env["crm.lead"]

    def make(self):
        """:return: the requests, as ``crm.lead``"""
        self._make_requests()
        self._make_activities()
        self._make_notes()
        self._use_rights()
        return self.requests

    def _make_requests(self):
        """Each request once in this season, in all stages, and once in the year
        before, closed."""
        random = self.library.random("requests")
        CrmLead = self.library.env["crm.lead"]
        by_who = {}
        for person in self.library.people:
            if not person.archived:
                by_who.setdefault(person.profile, []).append(person)
                by_who.setdefault(person.rhythm, []).append(person)
        values, moments, lost = [], [], []
        place = dict.fromkeys(STAGES, 0)
        for is_old in (False, True):
            for index, (kind, service, who, subject) in enumerate(REQUESTS):
                purpose = CrmLead._LIBRARY_PURPOSE_OF_KIND.get(kind, "service")
                stages = STAGES[purpose]
                stage = 3 if is_old else place[purpose] % 4
                place[purpose] += 1
                if stage == 3:
                    who = self._WHO_WHEN_DONE.get(kind, who)
                is_patient = kind in ("outreach", "win_back")
                made = self._pick_day(is_old, stage, is_patient, random)
                closed = self._pick_end(made, random) if stage == 3 else None
                is_lost = index % (6 if is_old else 11) == 5 and stage != 0
                values.append(
                    {
                        "name": subject,
                        "type": "opportunity",
                        "library_request_kind": kind,
                        "library_service_id": service
                        and self.library.services[service].id,
                        "team_id": self.library.ref(f"crm_team_{purpose}").id,
                        "stage_id": self.library.ref(
                            f"crm_stage_{purpose}_{stages[stage - is_lost]}"
                        ).id,
                        "priority": random.choice("00012"),
                        "company_id": self.library.company.id,
                        "expected_revenue": 0,
                        **self._prepare_requester(who, by_who, stage, random),
                    }
                )
                moments.append((made, closed))
                lost.append(is_lost)
        self.requests = CrmLead.create(values)
        self._lose_requests(lost, random)
        self._date_requests(moments, lost, random)

    def _pick_day(self, is_old, stage, is_patient, random):
        """How many days ago somebody asked. What waits for long is mostly what takes
        long by itself: working together, and winning somebody back."""
        if is_old:
            return random.randint(20, 360)
        if stage == 3 or is_patient or random.random() < 0.15:
            return random.randint(0, 12 + 20 * stage)
        return random.randint(0, 2 + stage)

    def _pick_end(self, made, random):
        """How many days ago it was closed."""
        is_quick = random.randrange(10) < ANSWERED_IN_TIME
        return made - random.randint(0, min(made, 3 if is_quick else 30))

    def _prepare_requester(self, who, by_who, stage, random):
        """Who asks, where, and who of the staff answers."""
        if who in by_who:
            person = random.choice(by_who[who])
            branch = self.library.branches[person.branch]
            values = {"library_patron_id": self.library.patrons[person.number].id}
        elif who == "duplicate":
            known = [person for person in by_who["gone"] if person.email]
            person = random.choice(known)
            branch = self.library.branches[person.branch]
            values = {
                "contact_name": person.name,
                "email_from": person.email.upper(),
            }
        else:
            branch = self.library.branches[
                random.choice(("MAIN", "WEST", "HARB", "OAKH"))
            ]
            values = {
                "contact_name": who,
                "email_from": f"{who.lower().replace(' ', '.')}@example.org",
                "phone": f"+1 564-555-01{random.randint(0, 99):02}",
            }
        desk = self.library.ref("library_user_desk")
        staff = desk if branch.code == "MAIN" else branch.manager_id or desk
        nobody = stage == 0 and random.random() < 0.5
        return {
            **values,
            "library_branch_id": branch.id,
            "user_id": False if nobody else staff.id,
        }

    def _lose_requests(self, lost, random):
        reasons = ("no_answer", "too_far", "not_offered")
        requests = self.requests.browse(
            request.id
            for request, is_lost in zip(self.requests, lost, strict=True)
            if is_lost
        )
        for request in requests:
            request.action_set_lost(
                lost_reason_id=self.library.ref(
                    f"crm_lost_reason_{random.choice(reasons)}"
                ).id
            )

    def _date_requests(self, moments, lost, random):
        """Odoo stamps requests with the moment of their making, which is now for all
        of them; only SQL can say that they are older."""
        rows = []
        for request, (made, closed), is_lost in zip(
            self.requests, moments, lost, strict=True
        ):
            start = self.library.at(self.library.days_ago(made + 1), random)
            taken = start + timedelta(hours=random.randint(1, 40))
            end = None
            if closed is not None or is_lost:
                end = self.library.at(self.library.days_ago(closed or 0), random)
                end = max(end - timedelta(days=1), taken + timedelta(hours=2))
            moved = end or start + timedelta(hours=random.randint(1, 24 * (made + 1)))
            rows.append(
                (
                    request.id,
                    start,
                    taken if request.user_id else None,
                    end,
                    moved,
                    (taken - start).days if request.user_id else 0,
                    (end - start).days if end else 0,
                )
            )
        self.library.env.flush_all()
        self.library.env.cr.execute_values(
            """
            UPDATE crm_lead
               SET create_date = dated.start,
                   date_open = dated.taken,
                   date_closed = dated.closed,
                   date_last_stage_update = dated.moved,
                   day_open = dated.day_open,
                   day_close = dated.day_close
              FROM (VALUES %s) AS dated
                   (id, start, taken, closed, moved, day_open, day_close)
             WHERE crm_lead.id = dated.id
            """,
            rows,
            template="(%s, %s::timestamp, %s::timestamp, %s::timestamp, "
            "%s::timestamp, %s, %s)",
        )
        self.requests.invalidate_recordset()

    def _make_activities(self):
        random = self.library.random("activities")
        to_do = {
            "call": "Call back",
            "todo": "Prepare the answer",
            "email": "Send the form",
        }
        desk = self.library.ref("library_user_desk")
        steady = [person for person in self.library.people if person.rhythm == "steady"]
        values = []
        for request in self.requests:
            if request.won_status == "pending" and random.random() < 0.7:
                values.append((request, request.user_id or desk))
        for person in random.sample(steady, 14):
            patron = self.library.patrons[person.number]
            values.append((patron, patron.liaison_id or desk))
        self.library.env["mail.activity"].create(
            [
                {
                    "res_model_id": self.library.env["ir.model"]._get_id(record._name),
                    "res_id": record.id,
                    "activity_type_id": self.library.env.ref(
                        f"mail.mail_activity_data_{kind}"
                    ).id,
                    "summary": to_do[kind],
                    "date_deadline": self.library.today
                    + timedelta(days=random.choice((-6, -3, -1, 0, 0, 1, 2, 5, 9, 14))),
                    "user_id": user.id,
                }
                for record, user in values
                for kind in (random.choice(list(to_do)),)
            ]
        )

    def _make_notes(self):
        random = self.library.random("notes")
        steady = [person for person in self.library.people if person.rhythm == "steady"]
        noted = [
            (request, random.choice(REQUEST_NOTES), random.randint(0, 9))
            for request in self.requests
            if request.user_id and random.random() < 0.3
        ] + [
            (self.library.patrons[person.number], random.choice(PATRON_NOTES), 60)
            for person in random.sample(steady, 18)
        ]
        desk = self.library.ref("library_user_desk").partner_id
        self.library.env["mail.message"].create(
            [
                {
                    "model": record._name,
                    "res_id": record.id,
                    "body": text,
                    "message_type": "comment",
                    "subtype_id": self.library.env.ref("mail.mt_note").id,
                    "author_id": desk.id,
                    "email_from": desk.email_formatted,
                    "date": self.library.at(self.library.days_ago(days + 1), random),
                }
                for record, text, days in noted
            ]
        )

    def _use_rights(self):
        """Patrons who come regularly ask for what they may ask of their own data, as
        they do in the portal."""
        random = self.library.random("rights")
        steady = [person for person in self.library.people if person.rhythm == "steady"]
        for person, (kind, wish) in zip(
            random.sample(steady, len(RIGHTS)), RIGHTS, strict=True
        ):
            patron = self.library.patrons[person.number]
            self.requests += patron._request_privacy(kind, wish)
