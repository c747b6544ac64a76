from . import test_loyalty_card
