"""The AWS side of the local cloud: moto for what it has, plus what it lacks; anything unknown fails loudly."""
