//! ingot-sql-guard
