#!/bin/sh
# Makes the namespace, once Temporal answers. Doing it again changes nothing.
#
# From the environment: TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE (read by `temporal` itself), and
# RETENTION, how long Temporal keeps the histories of runs that ended.
set -eu

attempt=1
until temporal operator cluster health >/dev/null 2>&1; do
    if [ "$attempt" -ge 60 ]; then
        echo "Temporal at $TEMPORAL_ADDRESS does not answer" >&2
        exit 1
    fi
    attempt=$((attempt + 1))
    sleep 2
done

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    echo "namespace $TEMPORAL_NAMESPACE is there"
else
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi
