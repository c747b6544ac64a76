from . import library_acquisition_report, library_journey_result
