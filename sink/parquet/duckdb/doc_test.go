// Package duckdb_test reads what sink/parquet writes with DuckDB, and holds its answers against a loop
// that decodes the recording. It is a module of its own, as DuckDB is C++: it needs cgo and a C++ library to
// link, and has no program.
package duckdb_test
