"""The comparison of `diff_bench`, done by DuckDB over the very same pages.

    duckdb_diff.py prepare FOLDER                     old.parquet from FOLDER/old, not measured
    duckdb_diff.py run FOLDER [--memory 256MB] [--whole]

`run` reads the new pages (zstd NDJSON), maps them, compares them with the old snapshot and writes
added, changed and removed records as NDJSON and the next snapshot as Parquet: a delta beside the
old file, or with --whole a file of all rows. It prints one line of JSON, like `diff_bench`.

The query is what suits DuckDB best: the old side of the join is narrow (a 64-bit hash stands for
the record), rows come in any order, and only what differs is written.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import time

import duckdb

COLUMNS = """{
    id: 'VARCHAR', contact_id: 'VARCHAR', email_address: 'VARCHAR', last_changed: 'BIGINT',
    merge_fields: 'STRUCT(FNAME VARCHAR, LNAME VARCHAR)'
}"""


def mapped(pages):
    return f"""
        SELECT id AS key, 'list:' || contact_id AS id, merge_fields.FNAME AS firstname,
            merge_fields.LNAME AS lastname, email_address AS email, last_changed AS modified,
            hash(id, firstname, lastname, email) AS digest
        FROM read_json('{pages}/*.ndjson.zst', format = 'newline_delimited', columns = {COLUMNS})
    """


def connect(folder, memory, threads):
    connection = duckdb.connect()
    connection.execute(f"SET threads = {threads}")
    connection.execute("SET preserve_insertion_order = false")
    spill = folder / "duckdb-spill"
    spill.mkdir(exist_ok=True)
    connection.execute(f"SET temp_directory = '{spill}'")
    if memory:
        connection.execute(f"SET memory_limit = '{memory}'")
    return connection


def prepare(folder):
    connection = connect(folder, None, os.cpu_count())
    # Sorted by key, as any snapshot that is looked into is.
    connection.execute(f"""
        COPY (FROM ({mapped(folder / 'old')}) ORDER BY key)
        TO '{folder}/old.parquet' (FORMAT parquet, COMPRESSION zstd)
    """)


def run(folder, memory, threads, whole):
    out = folder / "duckdb-out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    started = time.monotonic()
    connection = connect(folder, memory, threads)
    columns = "key, id, firstname, lastname, email, modified, digest"
    if whole:
        connection.execute(f"CREATE TEMP TABLE new AS {mapped(folder / 'new')}")
        new = "new"
    else:
        new = f"({mapped(folder / 'new')})"
    connection.execute(f"""
        CREATE TEMP TABLE differing AS
        SELECT CASE WHEN old.key IS NULL THEN 'added' WHEN new.key IS NULL THEN 'removed'
                WHEN old.digest <> new.digest THEN 'changed' ELSE 'touched' END AS kind,
            coalesce(new.key, old.key) AS key, coalesce(new.id, old.id) AS id,
            new.firstname, new.lastname, new.email, new.modified, new.digest
        FROM {new} AS new
        FULL JOIN (SELECT key, id, digest, modified FROM '{folder}/old.parquet') AS old
            ON new.key = old.key
        WHERE old.key IS NULL OR new.key IS NULL OR old.digest <> new.digest
            OR old.modified <> new.modified
    """)
    counts = dict(
        connection.execute("SELECT kind, count(*) FROM differing GROUP BY kind").fetchall()
    )
    for kind in ("added", "changed"):
        connection.execute(f"""
            COPY (SELECT id, firstname, lastname, email FROM differing WHERE kind = '{kind}')
            TO '{out}/{kind}.ndjson.zst' (FORMAT json, COMPRESSION zstd)
        """)
    connection.execute(f"""
        COPY (SELECT id FROM differing WHERE kind = 'removed')
        TO '{out}/removed.ndjson.zst' (FORMAT json, COMPRESSION zstd)
    """)
    if whole:
        connection.execute(f"""
            COPY (SELECT {columns} FROM new ORDER BY key)
            TO '{out}/next.parquet' (FORMAT parquet, COMPRESSION zstd)
        """)
    else:
        connection.execute(f"""
            COPY (SELECT kind, {columns} FROM differing ORDER BY key)
            TO '{out}/delta.parquet' (FORMAT parquet, COMPRESSION zstd)
        """)
    for file in out.iterdir():
        with open(file, "rb") as written:
            os.fsync(written.fileno())
    wall = time.monotonic() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "added": counts.get("added", 0),
        "changed": counts.get("changed", 0),
        "removed": counts.get("removed", 0),
        "wall_seconds": wall,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_rss_mib": usage.ru_maxrss // 1024,
    }))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("prepare", "run"):
        command = commands.add_parser(name)
        command.add_argument("folder", type=pathlib.Path)
        command.add_argument("--memory")
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if arguments.command == "prepare":
        prepare(folder)
    else:
        run(folder, arguments.memory, arguments.threads, arguments.whole)


if __name__ == "__main__":
    main()
