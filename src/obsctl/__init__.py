"""ObsCraft's command line and services: provision a log pipeline, then prove that it works."""

__version__ = "0.1.0"
