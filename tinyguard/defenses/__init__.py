# SPDX-License-Identifier: Apache-2.0
"""Defenses: what is written into a .tflite file's metadata so that the device carries it out."""
