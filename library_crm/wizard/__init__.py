from . import library_lead_to_patron, library_membership_change, library_usage_log
