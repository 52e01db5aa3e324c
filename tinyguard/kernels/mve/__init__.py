# SPDX-License-Identifier: Apache-2.0
"""Kernels for cores with MVE (Helium): M55, M85."""
