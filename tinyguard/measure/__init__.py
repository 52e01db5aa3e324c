# SPDX-License-Identifier: Apache-2.0
"""What a network takes on a board: instructions or cycles, flash, memory."""
