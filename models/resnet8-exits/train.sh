#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Trains every network of this folder's card: `./train.sh FOLDER [NAME...]`, resumed when run again.
# CIFAR-10 comes through Keras; CIFAR10=cifar10:train:DIRECTORY takes local files.
set -e
cd "$(dirname "$0")"
folder=${1:?type ./train.sh FOLDER}
shift
names=${*:-clean-released-0 exits-at-half-0 control-half-0 neo-kd-half-0}
mkdir -p "$folder"

for name in $names; do
    out=$folder/$name.npz
    [ -e "$out" ] && continue
    seed=${name##*-} rest=${name%-*}
    width=${rest##*-} recipe=${rest%-*}
    attack="--eps 8/255 --steps 3 --epochs 26"
    case $recipe in
        clean) options="--recipe exits-at --adversarial-weight 0 --epochs 20 --images 44000 --rate 1e-3" ;;
        control) options="--recipe exits-at --adversarial-weight 5 $attack" ;;
        *) options="--recipe $recipe $attack" ;;
    esac
    # The last 5,000 training images set thresholds and are not trained on.
    # shellcheck disable=SC2086
    tinyguard harden train "network.py:$width" $options --seed "$seed" --data "${CIFAR10:-cifar10:train}" \
        --limit 45000 --threads 1 --resume -o "$out"
done
