from . import (
    test_access,
    test_data_load,
    test_demo,
    test_formats_koha,
    test_mailing,
    test_membership,
    test_messages,
    test_patron,
    test_performance,
    test_portal,
    test_request,
    test_tours,
)
