"""EPCIS in XML: documents of EPCIS 2.0 and 1.2 read into the JSON form, events written as EPCIS 2.0.

For gateways and the command line. No validator reads XML: what a transaction carries is canonical JSON.
"""
