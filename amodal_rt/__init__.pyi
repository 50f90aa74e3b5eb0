from amodal_rt.api import ApiClient as ApiClient
from amodal_rt.api import ApiError as ApiError
from amodal_rt.daemon.embedding import Runtime as Runtime

__version__: str
__all__ = ["ApiClient", "ApiError", "Runtime", "__version__"]
