#!/bin/bash
# A batch as a job array. Each task segments one shard; a task that failed or was ended can be submitted again alone.
#
#   export STUDIES=/data/studies RESULTS=/data/results SHARDS=100
#   job=$(sbatch --parsable --array=1-$SHARDS array.sh --no-report)          # options of 'cardiacseg batch' may follow
#   sbatch --dependency=afterany:$job --wrap 'cardiacseg batch-merge "$RESULTS"'
#   sbatch --array=3,17 array.sh --no-report                                  # shards that the merge names
#
#SBATCH --job-name=cardiacseg
#SBATCH --cpus-per-task=2
#SBATCH --mem=3G
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@60
set -euo pipefail
: "${STUDIES:?expected the folder of cases}" "${RESULTS:?expected the folder for results}" "${SHARDS:?expected their number}"
: "${SLURM_ARRAY_TASK_ID:?expected a task of a job array: sbatch --array=1-$SHARDS}"
# The task becomes the program, so that SIGTERM reaches it a minute before the time limit; results stay whole.
exec cardiacseg batch "$STUDIES" -o "$RESULTS" --shard "$SLURM_ARRAY_TASK_ID/$SHARDS" \
  --jobs "${SLURM_CPUS_PER_TASK:-1}" --quiet "$@"
