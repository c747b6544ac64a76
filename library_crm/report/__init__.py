from . import (
    library_acquisition_mixin,
    library_acquisition_funnel,
    library_acquisition_report,
    library_journey_result,
    library_mailing_result,
    library_peer_comparison,
    library_value_report,
)
