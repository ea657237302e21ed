"""Files for hosts without internet access: Kafka, Filebeat and the wheels, in one folder on the control node.

``plan`` says which files the lock asks for, ``build`` makes those that are missing, ``store`` keeps them and proves
later that they are still the same, ``refresh`` writes a new lock.
"""
