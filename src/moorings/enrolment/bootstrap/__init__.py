"""The scripts that make a server a managed node, and how they are filled in before they are served."""
