"""`make bench-accuracy`: location beside baselines and the ideal observer, on named scenarios with known truth."""
