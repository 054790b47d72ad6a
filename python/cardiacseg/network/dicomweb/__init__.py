"""DICOMweb as a client (PS3.18): search, retrieve and store, and watching a service for new studies."""
