"""DICOM cines: from a study's files to one array with its grid, phases and sources. Needs the extra ``dicom``."""
