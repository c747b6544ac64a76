from . import join, mailing, portal, preferences, privacy, webhook, year
