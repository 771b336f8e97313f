//! One writer, one durable log; state, history and lanes are readings of it.
