from random import Random

from odoo import api, models


class LibraryDemo(models.AbstractModel):
    """Lets the people of the demo library take rewards."""

    _inherit = "library.demo"

    @api.model
    def _make_redemptions(self):
        """Make them once; where there are some already, nothing happens."""
        program = self.env.ref("library_crm_loyalty.loyalty_program_thanks")
        Redemption = self.env["library.loyalty.redemption"]
        if Redemption.search_count([("program_id", "=", program.id)], limit=1):
            return
        rand = Random(self._SEED)
        branches = self.env["library.branch"].search(
            [("company_id", "=", program.company_id.id)]
        )
        desk = self.env.ref("library_crm.library_user_desk")
        for card in program.coupon_ids.sorted("id"):
            rewards = program.library_reward_ids
            obstacles = rewards._get_obstacles(card)
            within_reach = rewards.filtered(lambda it, no=obstacles: not no[it])
            if not within_reach or rand.random() < 0.4:
                continue
            redemption = rand.choice(within_reach)._issue(card)
            if redemption.state == "issued" and rand.random() < 0.7:
                redemption._redeem()
                redemption.write(
                    {
                        "branch_id": card.library_patron_id.branch_id.id
                        or rand.choice(branches).id,
                        "user_id": desk.id,
                    }
                )
