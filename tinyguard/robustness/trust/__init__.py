"""Whether a figure deserves trust: masked gradients, attenuation, loss surfaces."""
