from . import (
    base_partner_merge,
    library_data_preview,
    library_journey_forecast,
    library_journey_test,
    library_lead_to_patron,
    library_membership_change,
    library_usage_log,
)
