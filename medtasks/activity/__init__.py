"""The task ``activity``: from the structure of a molecule to what it does."""
