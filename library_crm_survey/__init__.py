from . import controllers, models, report, wizard


def _uninstall_hook(env):
    """Library managers are survey users only through this addon."""
    manager = env.ref("library_crm.group_library_manager")
    manager.implied_ids -= env.ref("survey.group_survey_user")
