from . import (
    base_partner_merge,
    library_annual_report,
    library_consent_import,
    library_data_preview,
    library_journey_forecast,
    library_journey_test,
    library_lead_to_patron,
    library_membership_change,
    library_segment_add,
    library_segment_overlap,
    library_usage_log,
    mail_compose_message,
)
