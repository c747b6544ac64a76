import json
import logging
from ast import literal_eval
from collections.abc import Collection
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, format_date

from .library_service_usage import FEWEST_PATRONS

_logger = logging.getLogger(__name__)

# What many patrons have in common. Besides a question about use, marketing may ask
# nothing else: with a name or a number the answer would be about one person.
_SHARED_FIELDS = frozenset(
    ("active", "agreed_purpose_ids", "branch_id", "company_id", "enrolled_on")
    + ("expiry_date", "interest_ids", "is_minor", "lang", "last_use_date")
    + ("lifecycle", "lifecycle_since", "frequency", "membership_state")
    + ("patron_category_id", "preferred_channel", "recency", "variety")
)
_SHARED_PROPERTIES = frozenset(("code", "id", "kind", "name"))


class LibrarySegment(models.Model):
    """Patrons who have something in common, under a name: to look at, to write to, to
    watch grow or shrink.

    A segment is a rule and is read anew whenever it is asked, or a list that somebody
    keeps by hand. It can be used wherever patrons are chosen by a domain, also in the
    rule of another segment.
    """

    _name = "library.segment"
    _description = "Segment"
    _order = "sequence, name, id"
    _check_company_auto = True
    _library_personal_data = {"*": "setting", "listed_patron_ids": "mailing"}

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    color = fields.Integer()
    description = fields.Text(
        translate=True, help="Who they are, and what the segment is for."
    )
    company_id = fields.Many2one(
        "res.company",
        string="Library",
        index="btree_not_null",
        default=lambda self: self.env.company,
        help="Empty: the segment is read in each library for its own patrons.",
    )
    kind = fields.Selection(
        [("rule", "Rule"), ("list", "List kept by hand")],
        required=True,
        default="rule",
    )
    domain = fields.Char(required=True, default="[]", string="Patrons")
    condition_ids = fields.One2many(
        "library.use.condition", "segment_id", string="Use", copy=True
    )
    listed_patron_ids = fields.Many2many(
        "library.patron", "library_segment_patron_rel", string="Listed Patrons"
    )
    is_private = fields.Boolean(
        string="Tells of Use",
        compute="_compute_is_private",
        help="Being in it tells what somebody used or when they were born: marketing "
        "writes to it and sees how many there are, and no names.",
    )
    mailing_filter_ids = fields.One2many(
        "mailing.filter", "library_segment_id", string="Saved Filter of Mailings"
    )

    # How many
    patron_count = fields.Integer(
        string="Patrons Now",
        compute="_compute_patron_count",
        help="Counted as the rule is being written.",
    )
    snapshot_ids = fields.One2many("library.segment.snapshot", "segment_id")
    last_count = fields.Integer(
        string="Last Counted", compute="_compute_trend", help="By the nightly job."
    )
    trend = fields.Integer(
        string="Change in 30 Days",
        compute="_compute_trend",
        help="How many more, or fewer, there are than 30 days before.",
    )
    trend_graph = fields.Text(compute="_compute_trend")

    @api.depends("kind", "domain", "condition_ids", "listed_patron_ids")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_patron_count(self):
        for segment in self:
            try:
                segment.patron_count = segment._count()
            except UserError:
                # It is being written; saving says what is wrong with it.
                segment.patron_count = 0

    @api.depends("snapshot_ids")
    @api.depends_context("allowed_company_ids", "lang")
    def _compute_trend(self):
        today = fields.Date.context_today(self)
        counts = {}
        for segment, day, count in self.env["library.segment.snapshot"]._read_group(
            [
                ("segment_id", "in", self.ids),
                ("date", ">=", today - timedelta(days=30)),
                ("company_id", "in", self.env.companies.ids),
            ],
            ["segment_id", "date:day"],
            ["patron_count:sum"],
            order="date:day",
        ):
            counts.setdefault(segment.id, []).append((day, count))
        for segment in self:
            found = counts.get(segment.id) or [(today, 0)]
            segment.last_count = found[-1][1]
            segment.trend = found[-1][1] - found[0][1]
            segment.trend_graph = json.dumps(
                [
                    {
                        "key": self.env._("Patrons"),
                        "values": [
                            {
                                "x": format_date(self.env, day),
                                "y": count,
                                "name": format_date(self.env, day),
                            }
                            for day, count in found
                        ],
                    }
                ]
            )

    # ------------------------------------------------------------
    # THE RULE
    # ------------------------------------------------------------

    def _get_domain(self):
        """The patrons in this segment, as a domain on patrons that whoever may see the
        segment may use: what its writer was allowed to ask is asked by the system.

        :raise UserError: if the rule can not be read; the segment is named
        """
        self.ensure_one()
        if self.kind == "list":
            return Domain("id", "in", self.sudo().listed_patron_ids._origin.ids)
        asked = self.env.context.get("library_segments_asked", ())
        if self._origin.id and self._origin.id in asked:
            raise UserError(
                self.env._(
                    "The segment %(name)s asks for itself through another segment.",
                    name=self.name,
                )
            )
        Patron = (
            self.env["library.patron"]
            .sudo()
            .with_context(
                active_test=False,
                library_segments_asked=(*asked, self._origin.id),
            )
        )
        domain = self._parse_domain()
        try:
            parts = [condition._get_domain() for condition in self.condition_ids]
            if self.condition_ids:
                parts.append(Domain("id", "not in", Patron._query_not_profiled()))
            if not domain.is_true():
                query = Patron._search(domain)
                parts.append(Domain("id", "in", query))
        except (ValueError, KeyError) as error:
            raise UserError(self._say_unreadable(error)) from error
        if self.company_id:
            parts.append(Domain("company_id", "=", self.company_id.id))
        return Domain.AND(parts)

    def _parse_domain(self):
        try:
            return Domain(literal_eval(self.domain or "[]"))
        except (ValueError, SyntaxError, TypeError) as error:
            raise UserError(self._say_unreadable(error)) from error

    def _say_unreadable(self, error):
        return self.env._(
            "The rule of the segment %(name)s can not be read: %(reason)s. Open it and "
            "mend the line under Patrons.",
            name=self.name,
            reason=error,
        )

    def _count(self):
        """How many patrons there are, as the user sees patrons; where the user may not
        know who they are, see ``library.patron._count_unlisted``."""
        if not self._filter_unlisted():
            return self.env["library.patron"].search_count(self._get_domain())
        if not self.id:
            # What is being written was not checked yet.
            self._check_names_nobody()
        return self.env["library.patron"]._count_unlisted(self._get_domain())

    def _check_rule(self):
        """Whoever writes a rule may ask only what they may read. (Odoo checks its
        constraints as superuser.)"""
        for segment in self:
            if segment.kind == "list":
                continue
            segment._check_asks_not_itself()
            segment._check_names_nobody()
            domain = segment._parse_domain()
            try:
                self.env["library.patron"]._check_mailing_domain(domain)
            except (ValueError, KeyError) as error:
                raise ValidationError(segment._say_unreadable(error)) from error

    def _check_asks_not_itself(self):
        """:raise ValidationError: with the names along the circle"""
        path = [self]
        seen = set()

        def follow(segment):
            for asked in segment._get_asked_segments():
                if asked == self:
                    raise ValidationError(
                        self.env._(
                            "A segment can not ask for itself: %(path)s.",
                            path=" → ".join(step.name for step in (*path, self)),
                        )
                    )
                if asked not in seen:
                    seen.add(asked)
                    path.append(asked)
                    follow(asked)
                    path.pop()

        follow(self)

    def _get_asked_segments(self):
        """The segments that the rule of this one asks for."""
        if self.kind == "list":
            return self.browse()
        return self._find_asked(self._parse_domain())

    @api.model
    def _find_asked(self, domain):
        """The segments that a domain on patrons asks for, as superuser."""
        ids = []
        for condition in Domain(domain).iter_conditions():
            if condition.field_expr in ("segment_ids", "segment_ids.id"):
                value = condition.value
                is_list = isinstance(value, Collection) and not isinstance(value, str)
                ids += value if is_list else [value]
        return (
            self.sudo()
            .browse([id_ for id_ in ids if isinstance(id_, int) and id_])
            .exists()
        )

    @api.model
    def _find_alone(self, domain):
        """The segment whose patrons a domain chooses, where it asks nothing else.

        :return: the ``library.segment``; none for any other domain
        """
        domain = Domain(domain)
        conditions = list(domain.iter_conditions())
        if len(conditions) != 1 or domain != conditions[0]:
            return self.browse()
        if conditions[0].operator not in ("in", "="):
            return self.browse()
        segments = self._find_asked(domain)
        return segments.sudo(self.env.su) if len(segments) == 1 else self.browse()

    @api.model
    def _find_addressed(self, domain):
        """The segment that a choice of patrons is about: the one that it asks for.

        :param domain: on ``library.patron``
        :return: none where it asks for several, or for who is outside of one
        """
        conditions = [
            condition
            for condition in Domain(domain).iter_conditions()
            if condition.field_expr in ("segment_ids", "segment_ids.id")
        ]
        ids = set()
        for condition in conditions:
            if condition.operator not in ("in", "="):
                return self.browse()
            value = condition.value
            ids.update(value if isinstance(value, Collection) else [value])
        segments = self.sudo().browse([id_ for id_ in ids if isinstance(id_, int)])
        return segments.exists() if len(ids) == 1 else self.browse()

    # ------------------------------------------------------------
    # WHO MAY KNOW WHO IS IN IT
    # ------------------------------------------------------------

    @api.depends("kind", "domain", "condition_ids")
    def _compute_is_private(self):
        for segment in self:
            try:
                segment.is_private = segment._tells_of_use()
            except UserError:
                # It can not be read, so nobody can be in it.
                segment.is_private = True

    def _tells_of_use(self, known=()):
        """Whether being in it tells what marketing may not read of a patron."""
        self.ensure_one()
        if self.kind == "list":
            return False
        if self.condition_ids:
            return True
        readers = {"base.group_user", "library_crm.group_library_marketing"}
        domain = self._parse_domain()
        return any(
            groups and readers.isdisjoint(groups.split(","))
            for groups in self.env["library.patron"]._iter_asked_groups(domain)
        ) or any(
            asked._tells_of_use((*known, self._origin.id))
            for asked in self._find_asked(domain)
            if asked.id not in known
        )

    def _filter_unlisted(self):
        """Those of these segments of which the user may know how many are in them, and
        not who: they tell of use, and the user may not see what one person uses."""
        if not self or self.env["library.service.usage"].has_access("read"):
            return self.browse()
        return self.filtered(lambda segment: segment.sudo().is_private)

    def _check_may_list(self):
        """
        :raise AccessError: if the user may not know who is in these segments
        """
        if unlisted := self._filter_unlisted():
            raise AccessError(
                self.env._(
                    "Who is in the segment %(name)s tells what they used or when they "
                    "were born, so it is not listed for you. You can write to the "
                    "whole segment, and see how many there are.",
                    name=unlisted[0].sudo().name,
                )
            )

    def _check_names_nobody(self):
        """See to it that a question about use is about many.

        :raise AccessError: if the user may not see what one person uses, and the rule
            picks out persons
        """
        for segment in self._filter_unlisted():
            for condition in segment._parse_domain().iter_conditions():
                if not segment._is_shared(condition):
                    raise AccessError(
                        self.env._(
                            "The segment %(name)s asks for use, and for “%(field)s”, "
                            "which picks out persons: it would tell what one person "
                            "used. Ask for what many have in common, such as branch, "
                            "category or membership.",
                            name=segment.name,
                            field=condition.field_expr,
                        )
                    )

    def _is_shared(self, condition):
        """Whether a condition on patrons asks for what many have in common."""
        name, *properties = condition.field_expr.split(".")
        if name == "segment_ids":
            return all(
                asked.kind == "rule"
                and all(map(asked._is_shared, asked._parse_domain().iter_conditions()))
                for asked in self._find_asked(condition)
            )
        if name == "dependant_ids":
            return not properties and isinstance(condition.value, bool)
        return (
            name in _SHARED_FIELDS
            and _SHARED_PROPERTIES.issuperset(properties)
            and "any" not in condition.operator
        )

    # ------------------------------------------------------------
    # CREATE AND WRITE
    # ------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        segments = super().create(vals_list)
        segments._check_rule()
        model = self.env["ir.model"]._get_id("library.patron")
        self.env["mailing.filter"].sudo().create(
            [
                {
                    "name": segment.name,
                    "mailing_model_id": model,
                    "mailing_domain": repr([("segment_ids", "in", segment.ids)]),
                    "library_segment_id": segment.id,
                }
                for segment in segments
            ]
        )
        return segments

    def write(self, vals):
        result = super().write(vals)
        if {"domain", "kind", "condition_ids"} & vals.keys():
            self._check_rule()
        if "name" in vals:
            for mailing_filter in self.sudo().mailing_filter_ids:
                mailing_filter.name = mailing_filter.library_segment_id.name
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_unless_asked_for(self):
        every = self.sudo().with_context(active_test=False).search(Domain.TRUE)
        for other in every - self:
            for asked in other._get_asked_segments() & self:
                raise UserError(
                    self.env._(
                        "The segment %(name)s is asked for by the segment %(other)s; "
                        "change that one first.",
                        name=asked.name,
                        other=other.name,
                    )
                )

    # ------------------------------------------------------------
    # NIGHTLY COUNT
    # ------------------------------------------------------------

    @api.model
    def _cron_take_snapshots(self):
        """Count each segment in each library, once a day."""
        IrCron = self.env["ir.cron"]
        pending = [
            (segment, company)
            for (company,) in self.env["library.patron"]._read_group([], ["company_id"])
            for segment in self.search([("company_id", "in", (company.id, False))])
        ]
        for place, (segment, company) in enumerate(pending, 1):
            try:
                segment._take_snapshot(company)
            except UserError as error:
                # One that can not be read holds up no other.
                _logger.warning("Not counted: %s", error)
            if not IrCron._commit_progress(1, remaining=len(pending) - place):
                return

    def _take_snapshot(self, company):
        """Write down how many patrons of the library there are today; counted again on
        the same day, the later figure holds. Fewer than five who used something are
        none."""
        self.ensure_one()
        count = self.env["library.patron"].search_count(
            self._get_domain() & Domain("company_id", "=", company.id)
        )
        if self.is_private and count < FEWEST_PATRONS:
            count = 0
        Snapshot = self.env["library.segment.snapshot"]
        Snapshot.flush_model()
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_segment_snapshot (
                       segment_id, company_id, date, patron_count
                       )
                VALUES (%s, %s, %s, %s)
                    ON CONFLICT (segment_id, company_id, date)
                    DO UPDATE SET patron_count = excluded.patron_count
                """,
                self.id,
                company.id,
                fields.Date.context_today(self.with_company(company)),
                count,
            )
        )
        Snapshot.invalidate_model()
        self.invalidate_recordset(["snapshot_ids"])

    # ------------------------------------------------------------
    # ACTIONS
    # ------------------------------------------------------------

    def action_view_patrons(self):
        """List the patrons who are in the segment now."""
        self.ensure_one()
        self._check_may_list()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_patron_action"
            ),
            "name": self.name,
            "domain": [("segment_ids", "in", self.ids)],
        }

    def action_view_trend(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_segment_snapshot_action"
            ),
            "domain": [("segment_id", "=", self.id)],
        }

    def action_view_mailing_results(self):
        """What came of the mailings to the segment."""
        self.ensure_one()
        return {
            **self.env["ir.actions.actions"]._for_xml_id(
                "library_crm.library_mailing_result_action"
            ),
            "domain": [("segment_id", "=", self.id)],
            "context": {},
        }

    def action_new_mailing(self):
        """Begin a mailing to the segment, which is read anew when it is sent."""
        self.ensure_one()
        return self.env["library.patron"]._prepare_new_mailing(
            [("segment_ids", "in", self.ids)]
        )

    def action_compare(self):
        """See how far the segment overlaps with another."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Overlap of Two Segments"),
            "res_model": "library.segment.overlap",
            "view_mode": "form",
            "target": "new",
            "context": {"default_segment_id": self.id},
        }
