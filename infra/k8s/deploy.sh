#!/bin/sh
# Brings a release to the cluster that kubectl talks to, in the order that keeps the shop open:
#   infra/k8s/deploy.sh production [a file of nats/ with further values for its chart]
set -eu
cd "$(dirname "$0")"
overlay=overlays/$1
[ -d "$overlay" ] || { echo "no such overlay: $1" >&2 && exit 1; }

kubectl apply --server-side --filename base/namespace.yaml
# Certificates before those who mount them, and Postgres before those who ask it.
kubectl kustomize "$overlay" | kubectl apply --server-side --filename - \
  --selector 'app.kubernetes.io/component notin (service, migrations, seed)'
helm upgrade --install nats nats --repo https://nats-io.github.io/k8s/helm/charts/ --version 2.14.4 --namespace emporium \
  --values nats/values.yaml --values nats/users.yaml ${2:+--values "nats/$2"} --wait
kubectl --namespace emporium wait --for=condition=Ready clusters.postgresql.cnpg.io --all --timeout=600s

# A Job's pods cannot be changed: the last release's goes, this one's comes.
kubectl --namespace emporium delete job --ignore-not-found --selector app.kubernetes.io/component=migrations
kubectl kustomize "$overlay" | kubectl apply --server-side --filename - \
  --selector app.kubernetes.io/component=migrations
kubectl --namespace emporium wait --for=condition=complete job \
  --selector app.kubernetes.io/component=migrations --timeout=900s

kubectl kustomize "$overlay" | kubectl apply --server-side --filename -
for service in inventory orders checkout; do
  kubectl --namespace emporium rollout status "deployment/$service" --timeout=300s
done
