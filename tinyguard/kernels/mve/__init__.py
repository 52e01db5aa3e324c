"""Kernels for cores with MVE (Helium): M55, M85."""
