"""From sources to a running stack, and back: zips, templates, stacks, and everything taken down again."""
