"""The filter language of rules, silences and searches: Lucene's query syntax over the fields of a log line.

:func:`~obsctl.query.parse.parse` reads a text into a tree of :mod:`~obsctl.query.tree`, whose values have the types of
:mod:`~obsctl.query.fields`. A tree has two translations that select the same lines: a function over a line
(:mod:`~obsctl.query.predicate`) and a condition of SQL over a table (:mod:`~obsctl.query.sql`).
docs/reference/query-language.md describes the language.
"""
