"""Networks: modules from (noisy picture, noise, condition) to a picture. No losses, no files, no sampling."""
