"""Self-supervised monocular depth that works at any resolution, in JAX.

What most programs need can be imported from here. `__init__.pyi` says where each name comes from,
and a module is imported when a name of it is first used.
"""

import lazy_loader

__version__ = "0.2.0.dev0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
