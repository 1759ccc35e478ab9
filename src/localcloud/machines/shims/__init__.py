"""Small shell programs that stand in for what a machine cannot have."""
