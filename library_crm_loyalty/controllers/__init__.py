from . import challenge, join, portal
