"""DICOM nodes (with pynetdicom) and DICOMweb (``dicomweb``), which need the extra ``dicom``. MRD streams: ``mrd``."""
