#!/usr/bin/env bash
# Brings what the tests need onto this machine (a C compiler, Chromium, PostgreSQL), and
# prints the flags that `go test` can be given here: "-race" if a C compiler
# works, else nothing. Root (or sudo) is asked for only when something is
# missing. Talk: stderr.
set -euo pipefail

say() { printf 'setup: %s\n' "$*" >&2; }

for tool in go node npm; do
	command -v "$tool" >/dev/null || { say "$tool is missing; install it first (see CONTRIBUTING.md)"; exit 1; }
done

# The race detector needs a compiler and the headers of the C library, so the
# probe builds a program that includes one of them.
can_compile_c() {
	local cc out ok=1
	cc=$(go env CC)
	out=$(mktemp)
	# CC may carry flags ("ccache gcc"): no quotes.
	# shellcheck disable=SC2086
	printf '#include <stdlib.h>\nint main(void) { return 0; }\n' |
		$cc -x c -o "$out" - >/dev/null 2>&1 && ok=0
	rm -f "$out"
	return $ok
}

# The lists of a fresh machine may name packages that are gone: they are
# brought up to date before the first package.
lists_are_old=1

install_packages() {
	command -v apt-get >/dev/null || { say "no apt-get here"; return 1; }
	local as=(env)
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || { say "neither root nor sudo"; return 1; }
		as=(sudo env)
		# Nobody is there to type a password: refuse rather than hang.
		[ -t 0 ] || as=(sudo -n env)
	fi
	say "installing $*"
	local apt=("${as[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
	if [ -n "$lists_are_old" ]; then
		"${apt[@]}" update </dev/null >&2 || return 1
		lists_are_old=
	fi
	"${apt[@]}" install -y --no-install-recommends "$@" </dev/null >&2
}

# Called by .ci/run before the first make.
command -v make >/dev/null || install_packages make || say "make is missing and could not be installed"

can_compile_c || install_packages gcc libc6-dev || true
if can_compile_c; then
	echo "-race"
else
	say "NO C COMPILER: the tests run WITHOUT the race detector. Install gcc and libc6-dev to have it."
fi

# The tests in interop sit before the pages of the lab in Debian's Chromium.
command -v chromium >/dev/null || install_packages chromium || true
command -v chromium >/dev/null ||
	say "NO CHROMIUM: the tests of interop that need a browser will FAIL. Install it: apt-get install chromium"

# The tests run on SQLite and on a PostgreSQL server that tools/postgres.sh
# starts for them.
has_postgres() {
	local bin
	[ -z "${GATEHOUSE_TEST_POSTGRES:-}" ] || return 0
	for bin in /usr/lib/postgresql/*/bin /usr/local/bin /usr/bin; do
		[ -x "$bin/initdb" ] && [ -x "$bin/pg_ctl" ] && return 0
	done
	return 1
}
has_postgres || install_packages postgresql || true
has_postgres ||
	say "NO POSTGRESQL: the tests cannot start. Install it (apt-get install postgresql), or set GATEHOUSE_TEST_POSTGRES to the address of a server whose databases may be made and dropped"
