from . import (
    base_partner_merge,
    library_loyalty_give,
    library_loyalty_recompute,
    library_loyalty_scan,
    library_loyalty_undo,
    loyalty_card_update_balance,
)
