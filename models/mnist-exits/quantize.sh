#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the networks of this folder's card of the weights that train.sh left: `./quantize.sh FOLDER`.
# MNIST comes through Keras; MNIST=mnist:train:DIRECTORY takes local files.
set -e
cd "$(dirname "$0")"
folder=${1:?type ./quantize.sh FOLDER}
data=${MNIST:-mnist:train}
mkdir -p networks

for weights in "$folder"/*.npz; do
    name=$(basename "$weights" .npz)
    case $name in *folded) continue ;; esac
    width=${name%-*} width=${width##*-}
    [ -e "networks/$name.tflite" ] && continue
    python network.py "$weights" "$folder/$name-folded.npz"
    tinyguard quantize "network.py:folded_$width:$folder/$name-folded.npz" -o "$folder/$name.tflite" \
        --exits auto --calibration "$data"
    # The last 5,000 training images, which train.sh leaves out, set the thresholds.
    tinyguard exits "$folder/$name.tflite" --policy margin --data "$data" --skip 55000 --within 0.5 \
        -o "networks/$name.tflite"
    sed "s#$folder/##" "$folder/$name.training.json" > "networks/$name.training.json"
done
