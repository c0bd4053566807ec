# Sourced by tests/bench/run: installs PostgreSQL with PostGIS, the peers, from Debian's packages where that is
# possible. The benchmarks start servers of their own from it; without it they leave the peers' figures out.

install_postgres() {
  local packages=(postgresql-15 postgresql-15-postgis-3) binaries=/usr/lib/postgresql/15
  if [ -n "${PG_BIN:-}" ] || { [ -x "$binaries/bin/postgres" ] && [ -f "$binaries/lib/postgis-3.so" ]; }; then
    return
  fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing ${packages[*]} ..."
    if apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${packages[@]}" >/dev/null; then
      return
    fi
  fi
  echo "PostgreSQL 15 or PostGIS is missing. On Debian: apt-get install ${packages[*]}" >&2
}
