"""Tests mirror the source, one file a module, and use real parts: trained networks, child processes, a browser."""
