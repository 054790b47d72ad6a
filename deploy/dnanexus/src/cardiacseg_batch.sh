#!/bin/bash
# The applet: all inputs are downloaded, segmented in one batch and uploaded. Nothing else leaves the platform.
#
#   dx build deploy/dnanexus
#   dx run cardiacseg_batch -iwheels=wheels.tar -istudies=1000001_20209_2_0.zip -istudies=1000002_20209_2_0.zip
#
# A cohort is many runs of some hundred studies each; join their tables by 'csvstack' or in any statistics program.
set -euo pipefail

main() {
  : "${wheels_path:?}" "${options=}" # which the platform sets
  dx-download-all-inputs --parallel # studies are then in in/studies/NUMBER/
  mkdir -p studies wheels out/summary out/results
  find in/studies -type f -exec mv --no-clobber -t studies {} +
  if [ -n "$(find in/studies -type f)" ]; then
    echo "two inputs have the same name" >&2
    exit 2
  fi
  tar -xf "$wheels_path" -C wheels
  python3 -m pip install --quiet --no-index --find-links wheels --target packages "cardiacseg[dicom]"
  local code=0
  # shellcheck disable=SC2086 # the options are words
  PYTHONPATH=packages python3 -m cardiacseg.cli batch studies -o results --quiet $options || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 6 ] # 6: the table names the cases that failed
  cp results/summary.csv out/summary/
  tar -cf out/results/results.tar -C results .
  dx-upload-all-outputs --parallel
}
