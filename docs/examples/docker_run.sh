#!/usr/bin/env bash
# Run the image of Dockerfile.ascend with all NPUs of this host. Words are those of scripts/run_distribute.sh:
#   DATA=/data/fairmot RUNS=/shared/runs bash docs/examples/docker_run.sh 8 experiment=mot20_finetune
# Not tried on a host with NPUs; see docs/cluster.md.
set -euo pipefail

image=${IMAGE:-fairmot-ascend}
: "${DATA:?the folder that holds the list files and images, mounted as /data}"
: "${RUNS:?the folder for run directories, on shared storage if several hosts train, mounted as /runs}"
if ! [ -e /dev/davinci0 ]; then
    echo "error: no /dev/davinci0: is the Ascend driver installed on this host?" >&2
    exit 1
fi

arguments=(
    --rm --init --network=host --shm-size=16g
    --group-add "$(stat -c %g /dev/davinci0)"
    --device=/dev/davinci_manager --device=/dev/devmm_svm --device=/dev/hisi_hdc
    -v /usr/local/dcmi:/usr/local/dcmi:ro
    -v /usr/local/bin/npu-smi:/usr/local/bin/npu-smi:ro
    -v /usr/local/Ascend/driver/lib64:/usr/local/Ascend/driver/lib64:ro
    -v /usr/local/Ascend/driver/version.info:/usr/local/Ascend/driver/version.info:ro
    -v /etc/ascend_install.info:/etc/ascend_install.info:ro
    -v /etc/hccn.conf:/etc/hccn.conf:ro
    -v "$DATA:/data:ro" -v "$RUNS:/runs"
    -e LAUNCHER -e FAIRMOT_SERVER_ID -e MASTER_PORT -e MLFLOW_TRACKING_URI
)
for npu in /dev/davinci[0-9]*; do
    arguments+=("--device=$npu")
done
exec docker run "${arguments[@]}" "$image" \
    bash scripts/run_distribute.sh "$@" device=ascend data.root=/data data.cache_dir=/runs/index
