from . import (
    test_access,
    test_challenge,
    test_challenge_portal,
    test_expiry,
    test_ledger,
    test_loyalty_card,
    test_loyalty_dashboard,
    test_loyalty_effect,
    test_loyalty_journey,
    test_loyalty_report,
    test_loyalty_rule,
    test_redemption,
)
