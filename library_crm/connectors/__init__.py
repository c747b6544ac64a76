"""Connections to other systems: plain Python without Odoo. An address and credentials
go in, rows or a file come out, or a ``ConnectorError`` that says what to mend."""

from . import counter_api, http, koha_rest
