from . import models, wizard


def _uninstall_hook(env):
    """Library managers are product managers only through this addon."""
    manager = env.ref("library_crm.group_library_manager")
    manager.implied_ids -= env.ref("product.group_product_manager")
