"""Requests of Kafka's protocol that kafka-python does not have, in the form it generates its own from.

ConsumerGroupDescribe (key 69) is of KIP-848: groups whose assignment the broker makes. ShareGroupDescribe (key 77) is
of KIP-932: groups whose members share partitions.
"""
