"""The EPCIS 2.0 interface of a node: documents in, events out."""
