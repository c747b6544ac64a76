from odoo.tests import tagged

from odoo.addons.library_crm.tests.common import LibraryCommon
from odoo.addons.library_crm.tests.test_access import OPERATIONS, ROLES

# As in library_crm: read, write, create, unlink, in the order of ROLES.
RIGHTS = {
    "library.survey.gap.result": ("r", "r", "r", "", ""),
    "library.survey.overview": ("rwc", "rwc", "rwc", "", ""),
    "library.survey.result": ("r", "r", "r", "", ""),
    "library.survey.round": ("r", "r", "rwcu", "", ""),
    "survey.question": ("", "", "rwcu", "", ""),
    "survey.survey": ("r", "r", "rwcu", "", ""),
    "survey.user_input": ("", "", "rwcu", "", ""),
    "survey.user_input.line": ("", "", "r", "", ""),
}


@tagged("post_install", "-at_install")
class TestAccess(LibraryCommon):
    def test_rights_by_model_and_role(self):
        for model, rights in RIGHTS.items():
            for role, expected in zip(ROLES, rights, strict=True):
                records = self.env[model].with_user(getattr(self, role))
                found = "".join(
                    letter
                    for letter, operation in OPERATIONS.items()
                    if records.has_access(operation)
                )
                with self.subTest(model=model, role=role):
                    self.assertEqual(found, expected)

    def test_every_model_of_the_addon_is_in_the_table(self):
        models = {
            name
            for name in self.env.registry
            if name.startswith("library.")
            and not self.env[name]._abstract
            and self.env[name]._original_module == "library_crm_survey"
        }
        self.assertEqual(models - RIGHTS.keys(), set())
