"""Sending to and receiving from DICOM nodes (C-STORE, with pynetdicom). Needs the extra ``dicom``."""
