from . import controllers, models, report, wizard


def _uninstall_hook(env):
    """Library managers are product managers only through this addon. Programmes
    stay, so they can not go on being records of it."""
    env["ir.model.data"].search(
        [("module", "=", "library_crm_loyalty"), ("model", "=", "loyalty.program")]
    ).unlink()
    manager = env.ref("library_crm.group_library_manager")
    manager.implied_ids -= env.ref("product.group_product_manager")
