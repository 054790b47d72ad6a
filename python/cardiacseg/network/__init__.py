"""DICOM nodes: sending and receiving (C-STORE, with pynetdicom; needs the extra ``dicom``). MRD streams: ``mrd``."""
