from . import mailing, portal, preferences, webhook
