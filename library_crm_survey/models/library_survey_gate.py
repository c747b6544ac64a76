import hmac
import secrets

from odoo import api, fields, models
from odoo.fields import NO_ACCESS
from odoo.tools import SQL


class LibrarySurveyGate(models.Model):
    """Keeps one place from answering again and again where anybody may answer: at a
    kiosk, or by a link on a poster.

    No address is kept. A keyed digest sends each address to one of a few counters, so
    that millions of addresses share each and nobody can tell from a counter who it
    was, not even with the key; the key and all counters are new every hour. All
    counters of a round are one value, for the reason told in ``library.survey.roll``.
    """

    _name = "library.survey.gate"
    _description = "Limit of Answers from One Place"
    _log_access = False
    _library_personal_data = {"*": "figures"}

    COUNTERS = 256

    round_id = fields.Many2one(
        "library.survey.round", required=True, readonly=True, ondelete="cascade"
    )
    hour = fields.Datetime(required=True, readonly=True)
    key = fields.Char(required=True, readonly=True, groups=NO_ACCESS)
    counts = fields.Json(required=True, readonly=True)

    _round_uniq = models.UniqueIndex("(round_id)", "This round has a gate already.")

    @api.model
    def _let_in(self, asking_round, address, limit):
        """Count one more from an address, unless the limit of this hour is reached.

        :param str address: IP address
        :param int limit: answers an hour; 0: no limit
        :return: whether there may be one more
        :rtype: bool
        """
        if not limit:
            return True
        hour = fields.Datetime.now().replace(minute=0, second=0, microsecond=0)
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO library_survey_gate AS gate (round_id, hour, key, counts)
                VALUES (%(round)s, %(hour)s, %(key)s, '{}')
           ON CONFLICT (round_id) DO UPDATE
                   SET hour = excluded.hour, key = excluded.key, counts = '{}'
                 WHERE gate.hour != excluded.hour
                """,
                round=asking_round.id,
                hour=hour,
                key=secrets.token_hex(32),
            )
        )
        [(key,)] = self.env.execute_query(
            SQL(
                "SELECT key FROM library_survey_gate WHERE round_id = %s",
                asking_round.id,
            )
        )
        counter = self._get_counter(key, address)
        self.env.cr.execute(
            SQL(
                """
                UPDATE library_survey_gate
                   SET counts = jsonb_set(
                           counts, ARRAY[%(counter)s],
                           to_jsonb(coalesce((counts->>%(counter)s)::int, 0) + 1)
                       )
                 WHERE round_id = %(round)s
                   AND coalesce((counts->>%(counter)s)::int, 0) < %(limit)s
                """,
                counter=counter,
                round=asking_round.id,
                limit=limit,
            )
        )
        is_let_in = bool(self.env.cr.rowcount)
        self.invalidate_model()
        return is_let_in

    @api.model
    def _get_counter(self, key, address):
        """Which counter an address belongs to."""
        network = self.env["library.public.limit"]._get_network(address)
        digest = hmac.digest(key.encode(), network.encode(), "sha256")
        return str(int.from_bytes(digest[:4], "big") % self.COUNTERS)
