"""Which way goods went through a gate: read points on either side of it, reads in, a direction for each passage out.

`passages` cuts reads into passages, `features` sums one up, `softmax` is the model that is learnt from passages whose
direction is known, `companions` lets what moves together share its fate, `direction` puts them together.
"""
