"""The app for Linux boards that run Python: a script, the bundle's files, and nothing to install but a runtime."""
