"""The crash matrix: real brokers, real daemons, random faults, and every acknowledged publication accounted for."""
