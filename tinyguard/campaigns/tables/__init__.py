# SPDX-License-Identifier: Apache-2.0
"""The finished cells of a study as tables: CSV, JSON and Markdown."""
