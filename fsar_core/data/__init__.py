"""Videos on disk to frames in memory: reading, indexing, the frame cache, frame sampling. None of it needs torch."""
