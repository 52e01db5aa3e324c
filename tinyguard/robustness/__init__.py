"""Running attacks on one network, and the figures that come of them."""
