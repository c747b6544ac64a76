import contextlib
import os
import secrets

from odoo import models


class IrAttachment(models.Model):
    """A file is in its place as a whole or not at all.

    Odoo writes it in its place bit by bit. Who brings the same file at that moment, or
    after it did not fit on the disk, finds a part of it there; Odoo takes that for
    another file of the same name, and refuses.
    """

    _inherit = "ir.attachment"

    def _file_write(self, bin_value, checksum):
        name, path = self._get_path(bin_value, checksum)
        if not os.path.exists(path):
            self._put_whole(bin_value, path)
            self._mark_for_gc(name)
        attachments = self.with_context(library_file_known=path)
        return super(IrAttachment, attachments)._file_write(bin_value, checksum)

    def _same_content(self, bin_data, filepath):
        """A file that was put there or compared a moment ago is not read again."""
        return self.env.context.get(
            "library_file_known"
        ) == filepath or super()._same_content(bin_data, filepath)

    def _put_whole(self, content, path):
        part = f"{path}.{secrets.token_hex(8)}.part"
        try:
            with open(part, "xb") as file:
                file.write(content)
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.remove(part)
            raise
