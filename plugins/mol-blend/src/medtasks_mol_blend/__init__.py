"""Models of molecular activity, stacked out of fold."""

from medtasks_mol_blend.model import MolBlend

__all__ = ["MolBlend"]
