"""``genoevo evolve``: the engine alone; nothing here imports an adapter."""
