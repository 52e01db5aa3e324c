#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes the networks of this folder's card of the weights that train.sh left: `./quantize.sh FOLDER`.
# CIFAR-10 comes through Keras; CIFAR10=cifar10:train:DIRECTORY takes local files.
set -e
cd "$(dirname "$0")"
folder=${1:?type ./quantize.sh FOLDER}
data=${CIFAR10:-cifar10:train}
mkdir -p networks

for weights in "$folder"/*.npz; do
    name=$(basename "$weights" .npz)
    width=${name%-*} width=${width##*-}
    [ -e "networks/$name.tflite" ] && continue
    tinyguard quantize "network.py:$width:$weights" -o "$folder/$name.tflite" --exits auto --calibration "$data"
    # The last 5,000 training images, which train.sh leaves out, set the thresholds.
    tinyguard exits "$folder/$name.tflite" --policy margin --data "$data" --skip 45000 --within 0.5 \
        -o "networks/$name.tflite"
    sed "s#$folder/##" "$folder/$name.training.json" > "networks/$name.training.json"
done
