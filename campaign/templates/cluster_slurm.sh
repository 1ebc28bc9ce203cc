#!/bin/bash
# A Ray cluster inside one job of a batch system: the campaign on the first node, computations on all.
# Submit with sbatch; submit again with RESUME=1 to go on where the journal ends.
#SBATCH --job-name=probewise
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00

set -euo pipefail
RUN=${RUN:-$SCRATCH/runs/campaign}
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
export RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=$(srun --nodes=1 --ntasks=1 -w "${nodes[0]}" hostname --ip-address | awk '{print $1}')
port=6379

srun --nodes=1 --ntasks=1 -w "${nodes[0]}" --overlap \
    ray start --head --node-ip-address="$head" --port=$port --include-dashboard=false \
    --num-cpus="$SLURM_CPUS_PER_TASK" --block &
sleep 20
for node in "${nodes[@]:1}"; do
    srun --nodes=1 --ntasks=1 -w "$node" --overlap \
        ray start --address="$head:$port" --num-cpus="$SLURM_CPUS_PER_TASK" --block &
done
sleep 20

if [ -n "${RESUME:-}" ]; then
    probewise run --resume "$RUN" --address "$head:$port"
else
    probewise run campaign.yaml --out "$RUN" --address "$head:$port"
fi
