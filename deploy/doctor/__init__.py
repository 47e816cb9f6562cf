"""`tagtide doctor`: measures broker, Kafka, disk, clocks and devices, and says what would lose data and how to mend it.

Probes (`mqtt_probe`, `kafka_probe`, `host_probe`, `listening`) measure and hold no rules; the checks beside them turn
what was measured into findings and do no I/O.
"""
