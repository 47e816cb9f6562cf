"""Gates with known truth: how goods move at one, what its antennas hear of it, and sessions of many gates."""
