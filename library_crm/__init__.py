from . import controllers, models, report, wizard


def _uninstall_hook(env):
    """Empty the tables of use first: services and branches can not be deleted while a
    use names them."""
    env.cr.execute("TRUNCATE library_service_usage, library_service_usage_month")
