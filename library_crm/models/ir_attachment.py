import contextlib
import os

from odoo import models


class IrAttachment(models.Model):
    """A file that did not fit on the disk leaves nothing behind.

    Odoo leaves the half that fitted, under the name of the whole; when the same file
    comes again, it takes it for another that has the same name, and refuses.
    """

    _inherit = "ir.attachment"

    def _file_write(self, bin_value, checksum):
        __, path = self._get_path(bin_value, checksum)
        try:
            return super()._file_write(bin_value, checksum)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
            raise
