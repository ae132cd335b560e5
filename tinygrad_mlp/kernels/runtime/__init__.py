"""Running kernels. Read the files in this order.

1. ``llvm.py``: intrinsics written as LLVM code; ``memory.py``: typed pointers, a kernel's argument
   words, scratch memory.
2. ``layout.py``: shape, strides, dtype; ``storage.py``: the memory of tensors, reused.
3. ``launch.py``: the call from Python into a kernel; ``slices.py``: a thread's part of the work.
4. ``threads.py``: the worker threads; ``atomics.py``: what they are built on; ``cpu_count.py``: how
   many processors there are.
5. ``executor.py``: the kernel that runs a whole program of kernels.
6. ``cache.py``: compiled code on disk; ``cache_files.py``: which files are used, and which are not;
   ``file_lock.py``: locks between processes that compile.
"""
