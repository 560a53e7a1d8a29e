"""Content-addressed bytes: what a blob is, where its chunks are kept, and model folders made of blobs."""
