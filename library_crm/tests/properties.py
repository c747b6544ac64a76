"""Tests that say what holds whatever comes, and try it on many examples."""

import os

from hypothesis import HealthCheck, settings

#: Each run tries the same examples. ``LIBRARY_EXAMPLES=20 ./dev test -k properties``
#: tries twenty times as many, and others in each run.
_TIMES = int(os.environ.get("LIBRARY_EXAMPLES", 1))


def examples(count):
    """Decorate a test that gets its values from ``hypothesis.given``.

    :param int count: how many examples are tried
    """
    return settings(
        max_examples=count * _TIMES,
        derandomize=_TIMES == 1,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


class EachExampleAlone:
    """For a test with a database: an example leaves nothing to the next one. Odoo makes
    a test ready once, and not for each example."""

    def execute_example(self, example):
        with self.env.cr.savepoint() as savepoint:
            example()
            savepoint.rollback()
        self.registry.reset_changes()
