"""The kinds of rules: one module each, with its options, its checks and its evaluation.

A new kind is a module here and a table of tests in tests/unit/alerter/rules.
"""
