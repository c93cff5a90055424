"""What a cluster needs beside Samsyn, started on loopback for demos and tests: an object store, a database."""
