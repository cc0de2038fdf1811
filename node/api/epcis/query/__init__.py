"""The query language of EPCIS 2.0: parameters read once into a predicate over one event. No I/O, no clock."""
