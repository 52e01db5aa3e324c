"""tinyguard: quantize, attack, harden and flash int8 networks on Cortex-M, bit for bit."""

__version__ = "0.1.0"
