from . import controllers, models, report, wizard


def _uninstall_hook(env):
    """Library managers are survey users only through this addon. Rounds go first: what
    they ask can not be deleted while a row names it."""
    env.cr.execute(
        """
        UPDATE survey_user_input SET library_round_id = NULL;
        UPDATE library_journey_step SET survey_round_id = NULL;
        DELETE FROM library_survey_round;
        """
    )
    manager = env.ref("library_crm.group_library_manager")
    manager.implied_ids -= env.ref("survey.group_survey_user")
