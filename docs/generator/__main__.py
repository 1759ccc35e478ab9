"""Write every generated block and picture anew: `python -m docs.generator`, from the root of the repository."""

from docs.generator.pages import write_all

write_all()
