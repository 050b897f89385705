#!/bin/sh
# Temporal's two PostgreSQL databases: made if they are not there, brought up to the schema of this
# image's version if theirs is older. Doing it again changes nothing.
#
# From the environment, read by temporal-sql-tool itself: SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD.
set -eu
export SQL_PLUGIN=postgres12

bring_up() {
    export SQL_DATABASE="$1"
    temporal-sql-tool create-database
    temporal-sql-tool setup-schema --version 0.0
    temporal-sql-tool update-schema --schema-name "postgresql/v12/$2"
}

bring_up temporal temporal
bring_up temporal_visibility visibility
