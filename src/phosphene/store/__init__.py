"""Models on disk: configuration, safetensors, provenance; and the exchange with diffusers. Never a pickle."""
