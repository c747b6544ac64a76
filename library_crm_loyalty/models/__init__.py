from . import library_patron, loyalty_card
