"""Runtimes, one file each: what can execute a flatbuffer, behind the Target protocol."""
