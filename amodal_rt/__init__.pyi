from amodal_rt.daemon.embedding import Runtime as Runtime

__version__: str
__all__ = ["Runtime", "__version__"]
