"""``genoevo evolve``: searches with the engine alone; nothing here imports an adapter."""
