from . import library_acquisition_report
