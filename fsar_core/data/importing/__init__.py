"""From a data root and lists to a manifest and a report of what is there."""

from fsar_core.data.importing.asked import Asked
from fsar_core.data.importing.report import ClassReport, ImportReport, ReaderReport, SplitReport
from fsar_core.data.importing.steps import Watching, import_dataset

__all__ = ["Asked", "ClassReport", "ImportReport", "ReaderReport", "SplitReport", "Watching", "import_dataset"]
