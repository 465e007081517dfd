//! The limiter in this process: governor's GCRA over a bounded, sharded table.
