from . import join, mailing, portal, preferences, webhook, year
