from unittest import SkipTest

from lxml import etree

from odoo.tests import TransactionCase, tagged
from odoo.tools.safe_eval import safe_eval


@tagged("post_install", "-at_install")
class TestMenus(TransactionCase):
    """What a role sees in the menus of the demo library opens for that role: the views
    with what they show, each filter and grouping, and the form behind the list."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not cls.env.ref("library_crm.library_user_desk", raise_if_not_found=False):
            raise SkipTest("This database was made without demo data.")

    def test_every_menu_of_the_desk_opens(self):
        self._open_menus("library_crm.library_user_desk")

    def test_every_menu_of_marketing_opens(self):
        self._open_menus("library_crm.library_user_marketing")

    def test_every_menu_of_the_manager_opens(self):
        self._open_menus("library_crm.library_user_manager")

    def _open_menus(self, user_xmlid):
        user = self.env.ref(user_xmlid)
        root = self.env.ref("library_crm.library_crm_menu_root")
        menus = (
            self.env["ir.ui.menu"].with_user(user).search([("id", "child_of", root.id)])
        )
        opened = menus._filter_visible_menus().filtered("action")
        self.assertGreater(len(opened), 10)
        for menu in opened:
            with self.subTest(menu=menu.display_name):
                self._open(menu.env, menu.action.sudo()._get_action_dict())

    def _open(self, env, action):
        if action["type"] == "ir.actions.server":
            action = env["ir.actions.server"].browse(action["id"]).run()
        views = action.get("views") or [
            (False, kind) for kind in action["view_mode"].split(",")
        ]
        search = (action.get("search_view_id") or [False])[0]
        context = safe_eval(action.get("context") or "{}", {"uid": env.uid})
        Model = env[action["res_model"]].with_context(**context)
        domain = safe_eval(action.get("domain") or "[]", {"uid": env.uid})
        found = Model.get_views([*views, (search, "search")])["views"]
        self._search(Model, domain, etree.fromstring(found["search"]["arch"]))
        for kind in found.keys() & {"list", "kanban", "form"}:
            self._read(Model, domain, etree.fromstring(found[kind]["arch"]))

    def _search(self, Model, domain, arch):
        for node in arch.iter("filter"):
            asked = safe_eval(node.get("domain") or "[]", {"uid": Model.env.uid})
            Model.search_count([*domain, *asked], limit=1)
            context = safe_eval(node.get("context") or "{}", {"uid": Model.env.uid})
            if group := context.get("group_by"):
                # As the client asks where the view leaves it open.
                if Model._fields[group.partition(":")[0]].type in ("date", "datetime"):
                    group = f"{group.partition(':')[0]}:month"
                Model.formatted_read_group(domain, [group], ["__count"], limit=5)

    def _read(self, Model, domain, arch):
        specification = {
            node.get("name"): (
                {"fields": {"display_name": {}}}
                if Model._fields[node.get("name")].relational
                else {}
            )
            # Not those of a list within the list.
            for node in arch.xpath("//field[not(ancestor::field)]")
        }
        Model.web_search_read(domain, specification, limit=5)
