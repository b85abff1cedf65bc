#!/usr/bin/env bash
# What `make run` starts: the service with its demonstration fleet, one executor on this machine's cores that runs real
# models, and three emulated Jetsons. Everything listens on the loopback, from the service's port upwards; no network is
# needed once it is built. Each board ends when its standard input does, and the other end of that pipe belongs to the service: however
# the service ends, the boards end with it.
#
#   run.sh FOLDER LISTEN [ARGUMENTS OF ecomap serve...]
#       FOLDER holds the programs `ecomap` and `ecomap-executor` (built with the feature `emulate`)
#       ECOMAP_DEMO is the folder for key, models and state (.tools/demo)
set -euo pipefail
programs=$1 listen=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=${ECOMAP_DEMO:-.tools/demo}
mkdir -p "$state"
state=$(cd "$state" && pwd)
port=${listen##*:}
service=http://127.0.0.1:$port

[ -f "$state/service.key" ] || "$programs/ecomap" board-key "$state/service.key"
if [ ! -f "$state/models/manifest.json" ]; then
    echo "making models with synthetic weights in $state/models (once)" >&2
    rm -rf "$state/models"
    "$programs/ecomap-executor" repository make "$state/models" \
        --tier resnet-18 --tier mobilenet-v2-100 --tier mobilenet-v2-050 --tier mobilenet-v2-035 >&2
fi

cat >"$state/host.toml" <<END
listen = "127.0.0.1:$((port + 1))"
device = "host"
profile = "host-cpu"
repository = "models"

[[unit]]
id = "cpu0"
provider = "cpu"
cores = [0]

[[unit]]
id = "cpu1"
provider = "cpu"
cores = [$(($(nproc) > 1 ? 1 : 0))]

[[load]]
tenant = "door-badge"
kind = "poisson"
rate_per_s = 6
seed = 1

[[load]]
tenant = "desk-occupancy"
kind = "poisson"
rate_per_s = 2
seed = 2

[agent]
public_key = "service.key.pub"
state = "host"
service = "$service"
address = "http://127.0.0.1:$((port + 1))"
report_every_s = 5
END

boards="key_file = \"service.key\"
check_s = 2
"
n=0
for board in host:host-cpu xavier:jetson-agx-xavier orin-nx:jetson-orin-nx-16gb nano:jetson-orin-nano-8gb; do
    name=${board%%:*} profile=${board#*:}
    n=$((n + 1))
    boards+="
[board.$name]
address = \"http://127.0.0.1:$((port + n))\"
"
    if [ "$name" = host ]; then
        exec {pipe}> >(exec "$programs/ecomap-executor" serve --config "$state/host.toml" --until-stdin-ends \
            >"$state/$name.log" 2>&1)
    else
        exec {pipe}> >(exec "$programs/ecomap-executor" emulate --profile "$profile" --device "$name" --seed "$n" \
            --public-key "$state/service.key.pub" --state "$state/$name" --listen "127.0.0.1:$((port + n))" \
            --service "$service" --report-every 5 --until-stdin-ends >"$state/$name.log" 2>&1)
    fi
done
printf '%s' "$boards" >"$state/boards.toml"
exec "$programs/ecomap" serve --listen "$listen" --scenario "$here/boards.json" --boards "$state/boards.toml" \
    --store "${ECOMAP_STORE:-$state/ecomap.db}" "$@"
