"""The kinds of channels: one module each, with all of its options, its checks and how it sends.

A new kind is a module here and a table of tests in tests/contract/alerter. ``channel`` is their common interface,
``outcome`` the result of an attempt, ``http`` what channels that post JSON share (``http_transport`` the connections,
``web_address`` the URLs), ``robot`` what chat robots share.
"""
