"""How to talk to a cloud: sessions, credentials, retries, errors in our own words. No trade words."""
