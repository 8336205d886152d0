#!/bin/sh
# The whole shop in kind, on this machine: infra/k8s/kind.sh
# Needs docker with compose, kind, kubectl and helm. A second run brings what has changed.
set -eu
cd "$(dirname "$0")/../.."
cluster=${KIND_CLUSTER:-emporium}

docker compose build
kind get clusters | grep -qx "$cluster" || kind create cluster --name "$cluster" --wait 120s
docker compose config --images | grep '^emporium/' | sort -u \
  | xargs kind load docker-image --name "$cluster"
kubectl config use-context "kind-$cluster"

infra/k8s/operators.sh

# Keys and the issuer's settings, made by the image that makes compose's, once.
if ! kubectl --namespace emporium get secret issuer-settings >/dev/null 2>&1; then
  secrets=$(mktemp -d)
  trap 'rm -rf "$secrets"' EXIT
  for place in setup postgres nats gateway issuer inventory inventory-owner orders orders-owner \
    checkout checkout-owner delivery load-test; do mkdir "$secrets/$place"; done
  docker run --rm --user root --network none --volume "$secrets:/secrets" --tmpfs /data/nats \
    emporium/setup:local infra/compose/dist/setup.js
  docker run --rm --user root --network none --volume "$secrets:/secrets" \
    --entrypoint chown emporium/setup:local -R "$(id -u):$(id -g)" /secrets
  kubectl apply --server-side --filename infra/k8s/base/namespace.yaml
  kubectl --namespace emporium create secret generic orders-keys \
    --from-file="$secrets/orders/oidc.key" --from-file="$secrets/orders/data-keys.json"
  kubectl --namespace emporium create secret generic checkout-keys \
    --from-file="$secrets/checkout/oidc.key" --from-file="$secrets/checkout/data-keys.json"
  kubectl --namespace emporium create secret generic delivery-keys \
    --from-file="$secrets/delivery/secrets.json"
  kubectl --namespace emporium create secret generic issuer-settings \
    --from-file="$secrets/issuer/settings.json" --from-file="$secrets/issuer/signing-keys.json"
fi

kubectl --namespace emporium delete job seed --ignore-not-found
infra/k8s/deploy.sh kind one.yaml
# Images that were built again have the tag that they had before.
kubectl --namespace emporium rollout restart deployment inventory orders checkout
kubectl --namespace emporium wait --for=condition=complete job/seed --timeout=300s
