from . import join, portal, webhook
