"""The task treatment: which arm, which set of medicines, which dose."""
