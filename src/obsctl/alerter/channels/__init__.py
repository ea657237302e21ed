"""The kinds of channels: one module each, with all of its options, its checks and how it sends.

A new kind is a module here and a table of tests in tests/contract/alerter. ``http`` is what channels that post JSON
share, ``channel`` what all of them do.
"""
