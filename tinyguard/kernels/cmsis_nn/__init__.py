# SPDX-License-Identifier: Apache-2.0
"""Calls of CMSIS-NN, which the user has built: nothing of it is here."""
