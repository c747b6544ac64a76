"""The files of dashboards are what `devkit.dashboards` writes."""

import pytest

from devkit import dashboards


@pytest.mark.parametrize("path, text", dashboards.paths().items(), ids=str)
def test_file_is_what_is_written(path, text):
    assert path.read_text() == text, "run: python3 -m devkit.dashboards"


def test_figures_of_one_title_are_refused():
    board = dashboards.Dashboard(dashboards.FILTERS, dashboards.MATCHING)
    board.card("Visits", "1")
    with pytest.raises(ValueError, match="library_visits"):
        board.card("Visits", "2")
