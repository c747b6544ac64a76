"""What is fetched from a folder arrives once, wherever the server is killed."""

import os
import time
from pathlib import Path

import pytest
from whole_database import Place, copy, kill, wait

pytestmark = pytest.mark.slow

FILES = 2
ROWS = 1500
MAKE = """
library = env["res.company"].create({"name": "Folder"})
env["library.branch"].create(
    {"name": "Main", "code": "FMAIN", "company_id": library.id})
source = env["library.data.source"].create({
    "name": "Folder", "format": "koha_statistics", "company_id": library.id,
    "pull": "often"})
source.action_test()
env.cr.execute(
    "UPDATE library_data_source SET cursor = %s WHERE id = %s",
    (source.folder, source.id))
env.cr.commit()
"""
RUN = """
source = env["library.data.source"].search([("name", "=", "Folder")])
type(env["library.data.load"])._BATCH = 20
# As the two jobs do in turns.
env["library.data.load"]._cron_run_pending()
source._pull()
env.cr.commit()
"""
#: The same until all is loaded, whoever does it.
RUN_ON = (
    RUN
    + """
while len(source.load_ids.filtered(lambda load: load.state == "done")) < 20:
    env["library.data.load"]._cron_run_pending()
    source._pull()
    env.cr.commit()
"""
)
STATE = """
    SELECT (SELECT count(*) FROM library_data_load l WHERE l.source_id = s.id),
           (SELECT count(*) FROM library_data_load l
             WHERE l.source_id = s.id AND l.state = 'done'),
           (SELECT coalesce(sum(rows_read), 0) FROM library_data_load l
             WHERE l.source_id = s.id),
           (SELECT coalesce(sum(rows_new), 0) FROM library_data_load l
             WHERE l.source_id = s.id),
           (SELECT count(*) FROM library_service_usage u WHERE u.source_id = s.id),
           (SELECT coalesce(sum(m.quantity), 0) FROM library_service_usage_month m
             WHERE m.company_id = s.company_id)
      FROM library_data_source s
     WHERE s.name = 'Folder'
"""


def put_files(folder, files=FILES, rows=ROWS):
    for number in range(files):
        lines = [
            f"2026-01-{place % 28 + 1:02} {number:02}:00:{place % 60:02},FMAIN,issue"
            for place in range(rows)
        ]
        file = folder / f"{number}.csv"
        file.write_text("\n".join(("datetime,branch,type", *lines)))
        then = time.time() - 3600 + number
        os.utime(file, (then, then))


def test_killed_while_it_fetches_each_file_is_loaded_once():
    with copy("library_test_fetched") as database:
        at = Place.of(database)
        at.run(MAKE)
        [(folder,)] = at.ask(
            "SELECT cursor FROM library_data_source WHERE name = 'Folder'"
        )
        folder = Path(folder)
        try:
            put_files(folder)
            for place in range(FILES):
                # Kept and not yet taken away; then, in the middle of loading it.
                for reached in (
                    lambda place=place: at.ask(STATE)[0][0] > place,
                    lambda place=place: at.ask(STATE)[0][2] > place * ROWS + 100,
                ):
                    process = at.start(RUN)
                    wait(process, reached)
                    kill(process)
            at.run(RUN)
            at.run(RUN)
            every = FILES * ROWS
            assert at.ask(STATE) == [(FILES, FILES, every, every, every, every)]
            assert [entry.name for entry in folder.iterdir()] == []
        finally:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


def test_two_jobs_that_meet_load_each_file_once():
    with copy("library_test_fetched_twice") as database:
        at = Place.of(database)
        at.run(MAKE)
        [(folder,)] = at.ask(
            "SELECT cursor FROM library_data_source WHERE name = 'Folder'"
        )
        folder = Path(folder)
        try:
            # Many small ones, so that the jobs meet at every step.
            files, rows = 20, 60
            put_files(folder, files, rows)
            jobs = [at.start(RUN_ON) for _job in range(3)]
            for job in jobs:
                at.finish(job)
            at.run(RUN)
            every = files * rows
            assert at.ask(STATE) == [(files, files, every, every, every, every)]
        finally:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
