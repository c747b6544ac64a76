from . import library_journey_result
