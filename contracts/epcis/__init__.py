"""EPCIS 2.0 events: read from untrusted text, checked, put in one form, committed to, and written back."""
