from datetime import timedelta
from ipaddress import ip_address, ip_network

from odoo import api, fields, models
from odoo.tools import SQL, hmac


class LibraryPublicLimit(models.Model):
    """How often something was done on the public pages within the last hour.

    It stands in the database, so all workers count together. What is counted is only
    what a robot does and people seldom do: forms that send a mail, and links that are
    wrong. So a classroom behind one network address is not shut out, and a right link
    always works. No address is kept: a keyed digest that is another one each day, for
    an hour and until the next clean-up.
    """

    _name = "library.public.limit"
    _description = "Limit of Public Pages"
    _log_access = False
    _library_personal_data = {"*": "limit"}

    #: How many times an hour: forms to join and links asked for from one network
    #: address, wrong links from one network address, times that one patron saves the
    #: preferences by a link, batches that one source sends.
    LIMITS = {"join": 40, "link": 40, "wrong": 60, "save": 30, "batch": 6000}

    digest = fields.Char(required=True, readonly=True)
    done_at = fields.Datetime(required=True, readonly=True)

    _digest_idx = models.Index("(digest, done_at)")

    @api.model
    def _let_in(self, what, who):
        """Count one more, unless the limit of the last hour is reached.

        :param str what: a key of ``LIMITS``
        :param str who: whose limit it is: a network address, or anything else
        :return: whether there may be one more
        :rtype: bool
        """
        digest = hmac(
            self.env(su=True),
            "library_public_limit",
            f"{fields.Date.today()} {what} {self._get_network(who)}",
        )
        now = fields.Datetime.now()
        [(count,)] = self.env.execute_query(
            SQL(
                """
                SELECT count(*)
                  FROM library_public_limit
                 WHERE digest = %s
                   AND done_at > %s
                """,
                digest,
                now - timedelta(hours=1),
            )
        )
        if count >= self.LIMITS[what]:
            return False
        # A row each, so that visitors who come at once do not wait for each other.
        self.env.cr.execute(
            SQL(
                "INSERT INTO library_public_limit (digest, done_at) VALUES (%s, %s)",
                digest,
                now,
            )
        )
        return True

    @api.model
    def _get_network(self, address):
        """Of an IPv6 address the network of the household, whose devices change the
        rest at will; anything else as it is."""
        try:
            network = ip_address(address)
        except ValueError:
            return address
        if network.version == 6:
            network = ip_network(f"{network}/64", strict=False)
        return str(network)

    @api.autovacuum
    def _gc_past(self):
        self.env.cr.execute(
            SQL(
                "DELETE FROM library_public_limit WHERE done_at < %s",
                fields.Datetime.now() - timedelta(hours=1),
            )
        )
