from . import disclosure, join, mailing, portal, preferences, privacy, webhook, year
