"""Errors by fingerprint: lines of the error log and requests answered with 5xx that differ only in what varies."""
