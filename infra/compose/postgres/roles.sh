#!/bin/bash
# Run once, in a new cluster: a database for each service, with one role that owns it and brings its
# tables up to date, and one that the running service uses, which can change rows and nothing else.
set -euo pipefail

for service in inventory orders checkout; do
  psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=service="$service" --set=owner="$service-owner" <<'SQL'
CREATE ROLE :"owner" LOGIN;
CREATE ROLE :"service" LOGIN;
CREATE DATABASE :"service" OWNER :"owner";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"service";
\connect :"service"
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SEQUENCES TO :"service";
SQL
done
