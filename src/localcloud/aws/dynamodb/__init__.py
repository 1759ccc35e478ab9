"""DynamoDB: moto holds the tables; this refuses malformed input in the words of the service before moto sees it."""
