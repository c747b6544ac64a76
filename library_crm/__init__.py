from . import controllers, models, report, wizard


def _uninstall_hook(env):
    """Empty the tables of use and of journeys first: services, branches and steps can
    not be deleted while a row names them."""
    env.cr.execute(
        """
        TRUNCATE library_service_usage, library_service_usage_month;
        -- Others may refer to these, and keep their rows.
        DELETE FROM library_journey_event;
        DELETE FROM library_journey_enrolment;
        """
    )
