"""From a folder of pictures to batches: where pictures come from, the decoded cache, and data order."""
