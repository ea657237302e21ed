"""The alerter: lines in, one message when a condition starts and one when it has ended.

``service`` is the process: it stands by until ``leadership`` chooses it, and then runs ``active``, which moves lines
from package to package: ``input`` reads them, ``windows`` count them, ``rules`` judge the windows, ``evaluation``
decides which alerts start and end, ``notify`` decides which messages are due, ``messages`` writes their texts,
``state`` stores them, and ``delivery`` sends them through ``channels``. docs/architecture.md says what each package is
for, and pyproject.toml which package may import which.
"""
