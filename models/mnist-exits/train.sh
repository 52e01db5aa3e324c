#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Trains every network of this folder's card: `./train.sh FOLDER [NAME...]`, resumed when run again.
# MNIST comes through Keras; MNIST=mnist:train:DIRECTORY takes local files.
set -e
cd "$(dirname "$0")"
folder=${1:?type ./train.sh FOLDER}
shift
names=${*:-clean-half-0 clean-quarter-0 exits-at-quarter-0 control-quarter-0 neo-kd-quarter-0 exits-at-quarter-1
    control-quarter-1 neo-kd-quarter-1 exits-at-quarter-2 control-quarter-2 neo-kd-quarter-2 exits-skd-quarter-0
    exits-ard-quarter-0 exits-lw-quarter-0}
mkdir -p "$folder"

for name in $names; do
    out=$folder/$name.npz
    [ -e "$out" ] && continue
    seed=${name##*-} rest=${name%-*}
    width=${rest##*-} recipe=${rest%-*}
    case $recipe in
        clean) options="--recipe exits-at --adversarial-weight 0 --epochs 6 --images 54000" ;;
        control) options="--recipe exits-at --adversarial-weight 5" ;;
        *) options="--recipe $recipe" ;;
    esac
    # The last 5,000 training images set thresholds and are not trained on.
    # shellcheck disable=SC2086
    tinyguard harden train "network.py:$width" $options --seed "$seed" --data "${MNIST:-mnist:train}" \
        --limit 55000 --no-augment --threads 1 --resume -o "$out"
done
