"""Defenses: what is written into a .tflite file's metadata so that the device carries it out."""
