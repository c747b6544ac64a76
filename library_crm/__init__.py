from . import controllers, log_filter, models, report, wizard

log_filter.install()


def _uninstall_hook(env):
    """Empty the tables of use, costs and journeys first: services, branches and steps
    can not be deleted while a row names them. What other addons refer to can not be
    truncated without their rows."""
    env.cr.execute(
        """
        DELETE FROM library_cost;
        DELETE FROM library_service_usage;
        DELETE FROM library_service_usage_month;
        DELETE FROM library_journey_event;
        DELETE FROM library_journey_enrolment;
        """
    )
