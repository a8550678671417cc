"""What is known of a folder of pictures: read once, in a stream, into compact arrays; then looked at."""
