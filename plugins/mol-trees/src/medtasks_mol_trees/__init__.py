"""Gradient boosting and forests on molecular descriptors."""

from medtasks_mol_trees.model import MolTrees

__all__ = ["MolTrees"]
