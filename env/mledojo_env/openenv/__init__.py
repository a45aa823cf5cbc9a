"""The environment as an OpenEnv server, and the client for it; needs the extra `openenv`."""
