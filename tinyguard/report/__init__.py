# SPDX-License-Identifier: Apache-2.0
"""Pictures and pages of what was measured or planned."""
