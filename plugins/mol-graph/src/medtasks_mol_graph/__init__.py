"""A graph network on molecules: directed message passing on bonds."""

from medtasks_mol_graph.model import MolGraph

__all__ = ["MolGraph"]
