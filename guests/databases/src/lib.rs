//! What tests and measurements of databases run.
