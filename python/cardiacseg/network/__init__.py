"""Sending to and receiving from DICOM nodes: C-STORE through pynetdicom. Needs the extra ``dicom``."""
