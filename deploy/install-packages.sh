#!/usr/bin/env bash
# Installs the Debian packages that Ingot needs and that are missing; does nothing when all are
# there. Runs as root or through sudo.
#   install-packages.sh           what building and running need
#   install-packages.sh build     what building alone needs
#   install-packages.sh clients   and what the JavaScript clients of tests and examples need
#   install-packages.sh tests     and what tests of the deployment files need
#   install-packages.sh bench     and what the benchmarks compare with
# It never touches a PostgreSQL server that exists. A package that it installs itself must not
# leave a server running: Ingot runs its own.
# protobuf-compiler is left out on purpose: with it, the build of PostgreSQL's parser would
# regenerate code inside the downloaded crate.
set -euo pipefail

build=(build-essential cmake libclang-dev)
# The image has pg_dump and pg_restore; Debian keeps them in a folder per version.
compgen -G '/usr/lib/postgresql/*/bin/pg_dump' >/dev/null || build+=(postgresql-client)
wanted=("${build[@]}" postgresql nats-server)

clients() {
    # Node may have come from elsewhere. Debian's npm brings hundreds of packages.
    command -v node >/dev/null || wanted+=(nodejs)
    command -v npm >/dev/null || wanted+=(npm)
}

case "${1:-}" in
'') ;;
build) wanted=("${build[@]}") ;;
clients) clients ;;
tests)
    clients
    # Python, for the checkers of schemas; it may have come from elsewhere.
    # Machines of a network of our own, and its DNS.
    wanted+=(iproute2 dnsmasq-base)
    python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)
    ;;
bench) wanted+=(nginx-light wrk) ;;
*)
    echo "usage: $0 [build|clients|tests|bench]" >&2
    exit 2
    ;;
esac

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing packages: ${missing[*]}" >&2
        echo "Install them as root (apt-get install ${missing[*]}), then run this again." >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "Installing ${missing[*]}"

# Debian makes and starts a cluster when it installs PostgreSQL. Ours is apart, so a cluster that
# only this installation would make is not made; clusters that exist are left as they are.
setting=/etc/postgresql-common/createcluster.d/ingot.conf
had_postgres=no
is_installed postgresql-common && had_postgres=yes
if [ "$had_postgres" = no ]; then
    "${as_root[@]}" mkdir -p "$(dirname "$setting")"
    echo "create_main_cluster = false" | "${as_root[@]}" tee "$setting" >/dev/null
fi

# Likewise no other service of these packages is started by its installation, if nobody decides
# about that already.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made_policy=yes
fi
clean_up() {
    [ "$made_policy" = no ] || "${as_root[@]}" rm -f "$policy"
    [ "$had_postgres" = yes ] || "${as_root[@]}" rm -f "$setting"
}
trap clean_up EXIT

export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update --quiet=2
"${as_root[@]}" apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}"
