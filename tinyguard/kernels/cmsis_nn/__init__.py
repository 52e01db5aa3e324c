"""Calls of CMSIS-NN, which the user has built: nothing of it is here."""
