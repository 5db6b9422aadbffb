"""DeepChem behind the contract of medtasks; DeepChem itself is imported in a child process, never in this one."""

from medtasks_deepchem.graphconv import GraphConv
from medtasks_deepchem.moleculenet import MoleculeNet
from medtasks_deepchem.splitting import split

__all__ = ["GraphConv", "MoleculeNet", "split"]
