"""Errors by fingerprint: lines of the error log and 5xx answers, grouped by their text without ids and numbers."""
