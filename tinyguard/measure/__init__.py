"""What a network takes on a board: instructions or cycles, flash, memory."""
