"""Kernels for cores with the DSP extension: M4, M7, M33."""
