from . import (
    library_demo,
    library_loyalty_due,
    library_loyalty_occasion,
    library_loyalty_redemption,
    library_loyalty_reward,
    library_loyalty_rule,
    library_loyalty_tier,
    library_patron,
    library_service_usage,
    loyalty_card,
    loyalty_history,
    loyalty_program,
)
