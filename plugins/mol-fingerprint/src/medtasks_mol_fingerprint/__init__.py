"""Kernel machines on counts of molecular substructures."""

from medtasks_mol_fingerprint.model import MolFingerprint

__all__ = ["MolFingerprint"]
