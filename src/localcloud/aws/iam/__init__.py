"""IAM as the local cloud enforces it: policy documents, the rights that each API call needs, and the verdict."""
