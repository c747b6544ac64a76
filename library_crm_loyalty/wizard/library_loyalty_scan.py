from odoo import api, fields, models
from odoo.exceptions import UserError


class LibraryLoyaltyScan(models.TransientModel):
    """The desk scans a voucher, sees what it is worth, and hands the reward over.

    The code opens the voucher at every branch of the library, so that of its holder
    only the name is shown here.
    """

    _name = "library.loyalty.scan"
    _description = "Scan a Voucher"

    code = fields.Char(string="Voucher")
    done = fields.Char(readonly=True, help="What was handed over before.")
    reward = fields.Char(compute="_compute_voucher", compute_sudo=True)
    patron = fields.Char(compute="_compute_voucher", compute_sudo=True)
    description = fields.Char(compute="_compute_voucher", compute_sudo=True)
    expires_on = fields.Date(
        string="Holds until", compute="_compute_voucher", compute_sudo=True
    )
    obstacle = fields.Char(compute="_compute_voucher", compute_sudo=True)

    @api.depends("code")
    def _compute_voucher(self):
        for scan in self:
            voucher = scan._find_voucher()
            scan.reward = voucher.reward_id.name
            scan.patron = voucher.patron_id.complete_name
            scan.description = voucher.reward_id.description
            scan.expires_on = voucher.expires_on
            scan.obstacle = False
            if scan.code:
                scan.obstacle = (
                    voucher._get_obstacle() if voucher else scan._say_unknown()
                )

    def _find_voucher(self):
        return self.env["library.loyalty.redemption"]._find_by_code(self.code)

    def _say_unknown(self):
        return self.env._(
            "There is no voucher with this code. Scan it again, or type the twelve "
            "signs below the barcode."
        )

    def action_hand_over(self):
        """Hand it over, and be ready for the next."""
        self.ensure_one()
        voucher = self._find_voucher()
        if not voucher:
            raise UserError(self._say_unknown())
        voucher.with_env(self.env)._redeem()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Scan a Voucher"),
            "res_model": self._name,
            "views": [(False, "form")],
            "target": "new",
            "context": {
                "default_done": self.env._(
                    "%(reward)s: handed over to %(patron)s.",
                    reward=voucher.reward_id.name,
                    patron=voucher.patron_id.complete_name,
                )
            },
        }
