#!/usr/bin/env bash
# Installs what `npm run test:compose` needs: an engine and debootstrap from Debian's packages, and
# docker compose from its Go module where there is none, since Debian has no current one. As root, on
# Debian, with Go; leaves alone what is there. No engine is started: the test does that.
set -euo pipefail
compose=v2.40.3

for program in dockerd docker iptables debootstrap; do
  command -v "$program" >/dev/null && continue
  apt-get update --quiet --quiet
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends \
    docker.io iptables debootstrap </dev/null
  break
done

docker compose version 2>/dev/null && exit
plugins=/usr/local/lib/docker/cli-plugins
module="github.com/docker/compose/v2"
build="$(mktemp --directory)"
trap 'rm -rf "$build"' EXIT
# Its go.mod excludes versions of others, so that `go install` refuses it.
source="$(go mod download -json "$module@$compose" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')"
cp --recursive --no-preserve=mode "$source/." "$build"
mkdir --parents "$plugins"
(cd "$build" && go build -trimpath -ldflags "-X $module/internal.Version=$compose" -o "$plugins/docker-compose" ./cmd)
docker compose version
