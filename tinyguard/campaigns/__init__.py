# SPDX-License-Identifier: Apache-2.0
"""Campaigns: networks x attacks x budgets x settings from one TOML file, cell by cell, resumable."""
