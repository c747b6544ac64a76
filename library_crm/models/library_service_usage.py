from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, format_date

#: Bands of age at the day of use: name, first age above it, and words.
AGE_BANDS = (
    ("0_5", 6, "0–5"),
    ("6_11", 12, "6–11"),
    ("12_17", 18, "12–17"),
    ("18_24", 25, "18–24"),
    ("25_39", 40, "25–39"),
    ("40_64", 65, "40–64"),
    ("65", 200, "65 and over"),
)
#: Days after a mail in which a use counts as what the patron did afterwards.
OUTCOME_DAYS = 30
#: What fewer patrons used is not told to whoever may not see what one person uses.
FEWEST_PATRONS = 5
#: Days for which rows are kept at least: figures of somebody look back over a year.
AT_LEAST_DAYS = 13 * 28
#: Days after which nothing is counted from rows any more: the 24 months that indicators
#: compare, and the 3 in which a month is counted again.
WHOLE_DAYS = 27 * 28


class LibraryServiceUsage(models.Model):
    """That a service was used: by whom (or by nobody we know), where, on which day
    and how often. What was read, borrowed, searched or asked has no column.

    The table is narrow on purpose: a large library adds tens of millions of rows a
    year. Rows are facts, so who wrote them and when is not kept.
    """

    _name = "library.service.usage"
    _description = "Use of a Service"
    _order = "date desc, id desc"
    _rec_name = "service_id"
    _log_access = False
    _library_personal_data = {"*": "use"}

    patron_id = fields.Many2one(
        "library.patron",
        ondelete="set null",
        help="Empty: an anonymous count.",
    )
    service_id = fields.Many2one("library.service", required=True, ondelete="restrict")
    branch_id = fields.Many2one(
        "library.branch",
        required=True,
        ondelete="restrict",
        default=lambda self: self.env.user.library_branch_id,
    )
    date = fields.Date(required=True, default=fields.Date.context_today)
    quantity = fields.Integer(required=True, default=1, aggregator="sum")
    patron_category_id = fields.Many2one(
        "library.patron.category",
        compute="_compute_patron_category_id",
        store=True,
        precompute=True,
        ondelete="restrict",
        help="Of the patron when the use was recorded: it stays when the patron moves "
        "on to another category.",
    )
    age_band = fields.Selection(
        [(name, label) for name, __, label in AGE_BANDS],
        compute="_compute_age_band",
        store=True,
        precompute=True,
        help="Of the patron on the day of the use.",
    )
    channel = fields.Selection(
        lambda self: (
            self.env["library.service"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        compute="_compute_channel",
        store=True,
        readonly=False,
        precompute=True,
    )
    source_id = fields.Many2one(
        "library.data.source",
        readonly=True,
        ondelete="restrict",
        help="Where the row was loaded from; empty: logged here.",
    )
    external_ref = fields.Char(
        readonly=True,
        help="The sender's own key of the row, so that it is never counted twice.",
    )

    _quantity_positive = models.Constraint(
        "CHECK (quantity > 0)", "Quantity: a use is counted as 1 or more."
    )
    _external_ref_uniq = models.UniqueIndex(
        "(source_id, external_ref) WHERE external_ref IS NOT NULL",
        "External reference: this row of the source was loaded already.",
    )
    # Each index costs every row of a load; these are what screens ask for.
    _patron_date_idx = models.Index("(patron_id, date) WHERE patron_id IS NOT NULL")
    _branch_date_idx = models.Index("(branch_id, date)")
    _date_idx = models.Index("(date DESC, id DESC)")

    @api.depends("service_id")
    def _compute_channel(self):
        for usage in self:
            usage.channel = usage.service_id.channel

    @api.depends("patron_id")
    def _compute_patron_category_id(self):
        for usage in self:
            usage.patron_category_id = usage.patron_id.sudo().patron_category_id

    @api.depends("patron_id", "date")
    def _compute_age_band(self):
        for usage in self:
            patron = usage.patron_id.sudo()
            if patron.birth_date:
                age = relativedelta(usage.date, patron.birth_date).years
            elif patron.birth_year:
                age = usage.date.year - patron.birth_year
            else:
                usage.age_band = False
                continue
            usage.age_band = next(
                (name for name, above, __ in AGE_BANDS if age < above), False
            )

    @api.constrains("date")
    def _check_date(self):
        today = fields.Date.context_today(self)
        for usage in self:
            if usage.date > today:
                raise ValidationError(
                    self.env._(
                        "Date: a use on %(date)s is in the future.",
                        date=format_date(self.env, usage.date),
                    )
                )
            since = usage.branch_id.company_id.sudo().library_use_since
            is_report = usage.source_id.sudo().kind == "eresource"
            if since and usage.date < since and not is_report:
                raise ValidationError(
                    self.env._(
                        "Date: uses before %(since)s were counted and deleted, none "
                        "can be added to them.",
                        since=format_date(self.env, since),
                    )
                )

    @api.constrains("patron_id", "branch_id", "service_id")
    def _check_one_library(self):
        for usage in self:
            company = usage.branch_id.company_id
            for record in (usage.patron_id, usage.service_id):
                if record.company_id and record.company_id != company:
                    raise ValidationError(
                        self.env._(
                            "%(record)s belongs to the library %(other)s, the branch "
                            "%(branch)s to %(company)s.",
                            record=record.display_name,
                            other=record.company_id.name,
                            branch=usage.branch_id.name,
                            company=company.name,
                        )
                    )

    @api.model_create_multi
    def create(self, vals_list):
        usages = super().create(vals_list)
        # Numbers can be guessed: naming a patron must not tell who it is.
        usages.patron_id.check_access("read")
        usages._refresh_patrons(usages.patron_id)
        usages._roll_up()
        return usages

    def write(self, vals):
        patrons = self.patron_id
        self._roll_up(-1)
        result = super().write(vals)
        self._roll_up()
        self.patron_id.check_access("read")
        if {"patron_id", "date"} & vals.keys():
            self._refresh_patrons(patrons | self.patron_id)
        return result

    def unlink(self):
        patrons = self.patron_id
        self._roll_up(-1)
        result = super().unlink()
        self._refresh_patrons(patrons)
        return result

    @api.model
    def _refresh_patrons(self, patrons):
        """Bring up to date what a patron's record says of their use; a hook."""
        patrons.sudo()._refresh_last_use_date()
        patrons._refresh_engagement()

    # ------------------------------------------------------------
    # WHAT REPORTS ASK
    # ------------------------------------------------------------

    @api.model
    def _sql_used_after(self, patron, day):
        """Whether a patron used a service in the days after a mail: what mailings and
        journeys are measured by. The day of the mail itself does not count, since the
        hour of a use is not known.

        Cost: an index look-up a patron.

        :param SQL patron: the id of the patron
        :param SQL day: a date, the day of the mail
        :return: a condition
        :rtype: odoo.tools.SQL
        """
        return SQL(
            """
            EXISTS (
                SELECT FROM library_service_usage usage
                 WHERE usage.patron_id = %(patron)s
                   AND usage.date > %(day)s
                   AND usage.date <= %(day)s + %(days)s
            )
            """,
            patron=patron,
            day=day,
            days=OUTCOME_DAYS,
        )

    @api.model
    def _get_kept_since(self, company):
        """The first day of which it is known what patrons of a library used. Before it
        nothing was loaded, or the rows were deleted: no use does not mean nobody came.

        :rtype: datetime.date | None
        """
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT usage.date
                  FROM library_service_usage usage
                  JOIN library_patron patron ON patron.id = usage.patron_id
                 WHERE patron.company_id = %s
              ORDER BY usage.date, usage.id
                 LIMIT 1
                """,
                company.id,
            )
        )
        return rows[0][0] if rows else None

    # ------------------------------------------------------------
    # MANY ROWS
    # ------------------------------------------------------------

    @api.model
    @api.private
    def insert_rows(self, rows, are_new=False):
        """Add many rows in one statement: no record is made of them, no rule of Python
        is asked. They are rolled up, and the patrons know of their last use.

        A row whose source and external reference are there already is left out, so is
        one of a day of which the rows were counted and deleted; and one of a patron who
        is gone is nobody's. Cost: the insertion into the indexes
        of the table, which is what a bare ``COPY`` pays, and some 20 percent.

        :param SQL rows: a query of patron, service, branch, date, quantity, channel,
            source and external reference
        :param bool are_new: none of their references is there already, which saves
            looking for it; if one is, the unique index refuses all of them
        :return: how many rows were added
        :rtype: int
        """
        leave_out = SQL(
            "ON CONFLICT (source_id, external_ref) WHERE external_ref IS NOT NULL "
            "DO NOTHING"
        )
        self.env.flush_all()
        [(added,)] = self.env.execute_query(
            SQL(
                """
                WITH added AS (
                    INSERT INTO library_service_usage (
                           patron_id, service_id, branch_id, date, quantity, channel,
                           source_id, external_ref, patron_category_id, age_band
                           )
                    SELECT patron.id, given.service_id, given.branch_id, given.date,
                           given.quantity, given.channel, given.source_id,
                           given.external_ref, patron.patron_category_id, %(age_band)s
                      FROM (%(rows)s) given (
                           patron_id, service_id, branch_id, date, quantity, channel,
                           source_id, external_ref
                           )
                 LEFT JOIN library_patron patron ON patron.id = given.patron_id
                 %(kept)s
                 %(on_conflict)s
                 RETURNING *
                ),
                rolled_up AS (%(roll_up)s),
                last_use AS (
                    SELECT patron_id, max(date) AS date
                      FROM added
                  GROUP BY patron_id
                ),
                used AS (
                    UPDATE library_patron patron
                       SET last_use_date = last_use.date
                      FROM last_use
                     WHERE patron.id = last_use.patron_id
                       AND (patron.last_use_date < last_use.date
                            OR patron.last_use_date IS NULL)
                )
                %(effects)s
                SELECT count(*) FROM added
                """,
                rows=rows,
                kept=self._sql_is_kept(SQL("given")),
                on_conflict=SQL() if are_new else leave_out,
                age_band=self._sql_age_band(),
                roll_up=self._sql_roll_up(SQL("added"), 1),
                effects=SQL("").join(
                    SQL(", %s AS (%s)", SQL.identifier(name), statement)
                    for name, statement in self._get_insert_effects().items()
                ),
            )
        )
        self.invalidate_model()
        self.env["library.service.usage.month"].invalidate_model()
        self.env["library.patron"].invalidate_model(["last_use_date"])
        return added

    @api.model
    def _sql_is_kept(self, row):
        """What leaves out rows of days of which the rows were counted and deleted; they
        would be counted again. Mostly there is no such day, and nothing is asked.

        :return: the ``WHERE`` of a query of ``row``, or nothing
        """
        since = {
            company.id: company.library_use_since
            for company in self.env["res.company"].sudo().search([])
            if company.library_use_since
        }
        if not since:
            return SQL()
        return SQL(
            """
            WHERE NOT EXISTS (
                SELECT FROM library_branch branch
                  JOIN res_company company ON company.id = branch.company_id
                 WHERE branch.id = %(row)s.branch_id
                   AND %(row)s.date < company.library_use_since
            )
            """,
            row=row,
        )

    @api.model
    def _get_insert_effects(self):
        """Statements that go with ``insert_rows``, by name, which read the rows
        ``added``; a hook.

        :rtype: dict[str, SQL]
        """
        return {}

    def _roll_up(self, sign=1):
        """Add these rows to the figures of their months; with -1 take them out."""
        if not self:
            return
        self.flush_recordset()
        rows = SQL(
            "(SELECT * FROM library_service_usage WHERE id = ANY(%s))", list(self._ids)
        )
        self.env.cr.execute(self._sql_roll_up(rows, sign))
        self.env["library.service.usage.month"].invalidate_model()

    def _sql_roll_up(self, rows, sign):
        return SQL(
            """
            INSERT INTO library_service_usage_month (
                   month, company_id, branch_id, service_id, channel,
                   patron_category_id, age_band, quantity
                   )
            SELECT cell.month, branch.company_id, cell.branch_id, cell.service_id,
                   cell.channel, cell.patron_category_id, cell.age_band, cell.quantity
              FROM (
                    SELECT date_trunc('month', date)::date AS month, branch_id,
                           service_id, channel, patron_category_id, age_band,
                           %(sign)s * sum(quantity) AS quantity
                      FROM %(rows)s uses
                  GROUP BY 1, 2, 3, 4, 5, 6
                   ) cell
              JOIN library_branch branch ON branch.id = cell.branch_id
            """,
            rows=rows,
            sign=sign,
        )

    def _sql_age_band(self):
        """``_compute_age_band`` for the row ``given`` of ``patron``."""
        age = SQL(
            """
            CASE WHEN patron.birth_date IS NOT NULL
                 THEN date_part('year', age(given.date, patron.birth_date))
                 WHEN patron.birth_year > 0
                 THEN date_part('year', given.date) - patron.birth_year
             END
            """
        )
        whens = [
            SQL("WHEN %s < %s THEN %s", age, above, name)
            for name, above, __ in AGE_BANDS
        ]
        return SQL("CASE %s END", SQL(" ").join(whens))
