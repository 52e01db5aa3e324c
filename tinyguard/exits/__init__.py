# SPDX-License-Identifier: Apache-2.0
"""Networks with several exits: what they measure, thresholds on data, and the figures of a policy."""
