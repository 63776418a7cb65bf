"""The network in NumPy: cells, engine, threads and the model file."""
