//! From due slots to attempts, purely.
