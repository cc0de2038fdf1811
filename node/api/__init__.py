"""What people and scripts reach of a node over HTTP: the public interface and the admin port."""
