#!/bin/sh
# What an overlay's custom resources are made by, in the cluster that kubectl talks to:
#   infra/k8s/operators.sh [keda external-secrets gateway barman]
# cert-manager and CloudNativePG always; the rest by name. Needs helm.
set -eu

chart() { # release, namespace, chart, repository or "" for OCI, further options
  release=$1 namespace=$2 chart=$3 repository=$4
  shift 4
  helm upgrade --install "$release" "$chart" ${repository:+--repo "$repository"} \
    --namespace "$namespace" --create-namespace --wait "$@"
}

chart cert-manager cert-manager cert-manager https://charts.jetstack.io --version v1.21.2 --set crds.enabled=true
chart cnpg cnpg-system cloudnative-pg https://cloudnative-pg.github.io/charts --version 0.29.0
for wanted in "$@"; do
  case $wanted in
    keda) chart keda keda keda https://kedacore.github.io/charts --version 2.21.0 ;;
    external-secrets) chart external-secrets external-secrets external-secrets https://charts.external-secrets.io --version 2.8.0 ;;
    gateway) chart envoy-gateway envoy-gateway-system oci://docker.io/envoyproxy/gateway-helm "" --version v1.9.1 ;;
    barman)
      kubectl apply --server-side --filename \
        https://github.com/cloudnative-pg/plugin-barman-cloud/releases/download/v0.15.0/manifest.yaml
      ;;
    *) echo "not known: $wanted" >&2 && exit 1 ;;
  esac
done
