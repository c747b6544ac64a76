# What the others inherit comes first.
from . import library_loyalty_figures  # isort: split
from . import (
    library_loyalty_cost,
    library_loyalty_effect,
    library_loyalty_liability,
    library_loyalty_month,
    library_loyalty_participation,
)
