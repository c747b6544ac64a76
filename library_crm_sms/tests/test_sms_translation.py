from odoo.tests import TransactionCase, tagged

from odoo.addons.library_crm.tests.languages import SpeaksLanguages


@tagged("post_install", "-at_install")
class TestSmsTranslation(SpeaksLanguages, TransactionCase):
    """What patrons read of text messages, in the languages that come along."""

    addon = "library_crm_sms"
