"""API Gateway: REST APIs with Lambda proxy integrations, and the front that serves them behind VPC endpoints."""
