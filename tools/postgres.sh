#!/usr/bin/env bash
# Runs a command with a PostgreSQL server of its own on loopback, which is gone
# afterwards: tools/postgres.sh COMMAND…  The command finds the address in
# GATEHOUSE_TEST_POSTGRES. If that is set already, no server is started.
set -euo pipefail

if [ -n "${GATEHOUSE_TEST_POSTGRES:-}" ]; then
	exec "$@"
fi

bin=
for found in /usr/lib/postgresql/*/bin /usr/local/bin /usr/bin; do
	[ -x "$found/initdb" ] && [ -x "$found/pg_ctl" ] && bin=$found
	[ -n "$bin" ] && break
done
[ -n "$bin" ] || { echo 'postgres: no initdb found; install the package postgresql, or set GATEHOUSE_TEST_POSTGRES' >&2; exit 1; }

# The server refuses to run as root.
as=()
if [ "$(id -u)" -eq 0 ]; then
	as=(setpriv --reuid=postgres --regid=postgres --init-groups)
fi

dir=$(mktemp -d)
stop() {
	"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" >"$dir/password"
[ "$(id -u)" -ne 0 ] || chown -R postgres "$dir"
"${as[@]}" "$bin/initdb" -D "$dir/data" -U gatehouse --pwfile="$dir/password" -A scram-sha-256 -E UTF8 --locale=C --no-sync >/dev/null

# A free port: the kernel gives it, and there is a moment in which another may
# take it, so a few are tried.
for _ in 1 2 3 4 5; do
	port=$(shuf -i 20000-32000 -n 1)
	# Nothing here has to outlive the run, so nothing is flushed.
	if "${as[@]}" "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -o \
		"-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='$dir' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=400" \
		start >/dev/null; then
		export GATEHOUSE_TEST_POSTGRES="postgres://gatehouse:$password@127.0.0.1:$port/postgres?sslmode=disable"
		status=0
		"$@" || status=$?
		exit "$status"
	fi
done
cat "$dir/log" >&2
exit 1
