"""What is asked: where a request and a training batch meet, so that both make a condition in the same way."""
