#!/bin/bash
# The part of the official image's entry point that compose.yaml makes use of.
set -euo pipefail
if [[ ! -s "$PGDATA/PG_VERSION" ]]; then
  mkdir -p "$PGDATA"
  chmod 700 "$PGDATA"
  user="${POSTGRES_USER:-postgres}"
  eval "initdb --username='$user' --pwfile='$POSTGRES_PASSWORD_FILE' --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}"
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="${*:2} -c listen_addresses='' -c unix_socket_directories=/var/run/postgresql" start
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) bash "$file" ;;
      *.sql) psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$user" --dbname="${POSTGRES_DB:-$user}" --file="$file" ;;
    esac
  done
  pg_ctl --wait stop
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
