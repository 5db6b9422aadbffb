"""MoleculeNet's data sets by name: ``--data moleculenet/bace``."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from medtasks.dataset import Dataset, NamedDataset, Origin
from medtasks.errors import DataError, suggest
from medtasks.model import Context
from medtasks.task import load_task

BASE = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/"
"""Where DeepChem's loaders fetch the files."""
ALL = "Wu et al. 2018, doi:10.1039/C7SC02664A"


@dataclass(frozen=True)
class Source:
    """One data set.

    ``file`` is its name at `BASE`, ``module`` and ``tasks`` where DeepChem's loader stands and the name of the constant
    there that lists ``targets``, ``smiles`` and ``id`` columns, ``what`` a title, ``citation`` who measured.
    """

    file: str
    module: str
    tasks: str
    what: str
    citation: str
    targets: tuple[str, ...]
    smiles: str = "smiles"
    id: str | None = None


_TOX21 = (
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma", "SR-ARE", "SR-ATAD5",
    "SR-HSE", "SR-MMP", "SR-p53",
)  # fmt: skip
_SIDER = (
    "Hepatobiliary disorders", "Metabolism and nutrition disorders", "Product issues", "Eye disorders",
    "Investigations", "Musculoskeletal and connective tissue disorders", "Gastrointestinal disorders",
    "Social circumstances", "Immune system disorders", "Reproductive system and breast disorders",
    "Neoplasms benign, malignant and unspecified (incl cysts and polyps)",
    "General disorders and administration site conditions", "Endocrine disorders",
    "Surgical and medical procedures", "Vascular disorders", "Blood and lymphatic system disorders",
    "Skin and subcutaneous tissue disorders", "Congenital, familial and genetic disorders",
    "Infections and infestations", "Respiratory, thoracic and mediastinal disorders", "Psychiatric disorders",
    "Renal and urinary disorders", "Pregnancy, puerperium and perinatal conditions", "Ear and labyrinth disorders",
    "Cardiac disorders", "Nervous system disorders", "Injury, poisoning and procedural complications",
)  # fmt: skip
_BACE = "Subramanian et al. 2016, doi:10.1021/acs.jcim.6b00290"

SOURCES: Mapping[str, Source] = {
    "bace": Source(
        "bace.csv", "bace", "BACE_CLASSIFICATION_TASKS", "inhibitors of beta-secretase 1, active or not", _BACE,
        ("Class",), "mol", "CID",
    ),
    "bace-regression": Source(
        "bace.csv", "bace", "BACE_REGRESSION_TASKS", "inhibitors of beta-secretase 1, pIC50", _BACE, ("pIC50",), "mol",
        "CID",
    ),
    "bbbp": Source(
        "BBBP.csv", "bbbp", "BBBP_TASKS", "crossing the blood-brain barrier or not",
        "Martins et al. 2012, doi:10.1021/ci300124c", ("p_np",), id="name",
    ),
    "clintox": Source(
        "clintox.csv.gz", "clintox", "CLINTOX_TASKS", "drugs approved, and failed for toxicity",
        "Gayvert et al. 2016, doi:10.1016/j.chembiol.2016.07.023", ("FDA_APPROVED", "CT_TOX"),
    ),
    "delaney": Source(
        "delaney-processed.csv", "delaney", "DELANEY_TASKS", "solubility in water (ESOL), log mol/L",
        "Delaney 2004, doi:10.1021/ci034243x", ("measured log solubility in mols per litre",), id="Compound ID",
    ),
    "hiv": Source(
        "HIV.csv", "hiv", "HIV_TASKS", "inhibiting the replication of HIV or not",
        "AIDS Antiviral Screen, NCI Developmental Therapeutics Program 2004", ("HIV_active",),
    ),
    "lipo": Source(
        "Lipophilicity.csv", "lipo", "LIPO_TASKS", "lipophilicity, log D at pH 7.4",
        "Hersey 2015, doi:10.6019/CHEMBL3301361", ("exp",), id="CMPD_CHEMBLID",
    ),
    "sampl": Source(
        "SAMPL.csv", "sampl", "SAMPL_TASKS", "free energy of hydration (FreeSolv), kcal/mol",
        "Mobley & Guthrie 2014, doi:10.1007/s10822-014-9747-x", ("expt",), id="iupac",
    ),
    "sider": Source(
        "sider.csv.gz", "sider", "SIDER_TASKS", "side effects of marketed drugs, 27 classes",
        "Kuhn et al. 2016, doi:10.1093/nar/gkv1075", _SIDER,
    ),
    "tox21": Source(
        "tox21.csv.gz", "tox21", "TOX21_TASKS", "12 assays of toxicity", "Huang et al. 2016, "
        "doi:10.3389/fenvs.2015.00085", _TOX21, id="mol_id",
    ),
}  # fmt: skip
"""As DeepChem's loaders have them (a test compares), so that a data set is to be had without importing DeepChem, and on
Pythons that it refuses."""
ALIASES = {
    "bace-classification": "bace", "esol": "delaney", "freesolv": "sampl", "lipophilicity": "lipo",
}  # fmt: skip


class MoleculeNet(NamedDataset):
    """MoleculeNet: molecules and what was measured of them, from the files that DeepChem's loaders fetch.

    The file is taken from medtasks' cache, else copied there from the folder that ``DEEPCHEM_DATA_DIR`` names, else
    downloaded. MoleculeNet publishes no checksums: the SHA-256 of the file that is read first is kept beside it, and
    another content is refused from then on. That guards against damage later, not against a wrong file at first.

    Rows are read by the task `activity` as those of any other table, not by DeepChem: a molecule that cannot be used is
    listed with its reason, and a missing label is missing.
    """

    title: ClassVar[str] = "MoleculeNet: " + ", ".join(SOURCES) + " (download; write moleculenet/bace)"
    downloads: ClassVar[bool] = True

    def load(self, variant: str | None, *, cache: Path, seed: int) -> Dataset:
        """Fetch the file where it is not at hand, check it, read it.

        Raises
        ------
        DataError
            If there is no such variant, it cannot be downloaded, or the file is another one than at first.
        """
        name = ALIASES.get(variant or "", variant or "")
        if name not in SOURCES:
            what = f"moleculenet has no data set {variant!r}" if variant else "moleculenet is many data sets"
            raise DataError(what, hint=f"name one, as in moleculenet/bace; {suggest(name, [*SOURCES, *ALIASES])}")
        source = SOURCES[name]
        path = fetch(source, cache / "moleculenet")
        task = load_task("activity")
        options = task.Options.model_validate({"target": source.targets, "smiles": source.smiles, "id": source.id})
        dataset = task.read(path, options, context=Context())
        origin = Origin(
            f"moleculenet/{name}",
            f"MoleculeNet {name}: {source.what}",
            "not stated by MoleculeNet; see who measured",
            f"{ALL}; {source.citation}",
            invalid=dataset.origin.invalid,
            remarks=dataset.origin.remarks,
            notes=dataset.origin.notes,
        )
        return replace(dataset, origin=origin)


def fetch(source: Source, folder: Path) -> Path:
    """Return the file of a data set in ``folder``, after checking it against what was read at first.

    Raises
    ------
    DataError
        If it cannot be had, or has changed.
    """
    path, pin = folder / source.file, folder / f"{source.file}.sha256"
    elsewhere = Path(os.environ.get("DEEPCHEM_DATA_DIR", ""), source.file)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        if "DEEPCHEM_DATA_DIR" in os.environ and elsewhere.is_file():
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            shutil.copyfile(elsewhere, part)
            part.replace(path)
        else:
            _download(source, path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not pin.is_file():
        pin.write_text(f"{found}  {source.file}\n", encoding="utf-8")
    elif pin.read_text(encoding="utf-8").split()[:1] != [found]:
        raise DataError(
            f"{path} is not the file that was read first: its SHA-256 differs from the one in {pin.name}",
            hint=f"put the file back, or remove both to begin anew: {path} and {pin}",
        )
    return path


def _download(source: Source, path: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")  # it would advise on its own arguments
    try:
        pooch.retrieve(BASE + source.file, known_hash=None, fname=path.name, path=path.parent, progressbar=False)
    except OSError as error:  # requests' errors are OSErrors too
        raise DataError(
            f"{source.file} of MoleculeNet cannot be downloaded ({type(error).__name__})",
            hint=f"fetch {BASE}{source.file} on a machine with a network and put it at {path}",
        ) from None
