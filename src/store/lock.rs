//! The lock file: one process per store. The kernel frees it when the process dies, however it dies.
