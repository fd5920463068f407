package parquet

import "fmt"

// WriteError is what came of writing to a file or folder, such as a full disk. What has no name yet of
// the segment is removed. No part has one before all are written and checked: only if that goes wrong
// which follows (a rename, an fsync of a folder, the manifest) there are some with names, which are whole.
// The segment is not done, and another try replaces them; they stay if its file has gone by then.
type WriteError struct {
	// Op is what was done, such as "write", "fsync" or "rename".
	Op, Path string
	Err      error
}

// Error says what could not be done.
func (e *WriteError) Error() string { return fmt.Sprintf("parquet: %s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap returns Err.
func (e *WriteError) Unwrap() error { return e.Err }

// SchemaError is that a part of the same table has other columns, or none that can be read: another
// version has written it, or another program. Nothing is written beside it.
type SchemaError struct {
	Path string
	// Have and Want are the first lines of the schemas that differ.
	Have, Want string
}

// Error shows both.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("parquet: %s has other columns: %q instead of %q; another folder is needed", e.Path, e.Have, e.Want)
}

// CheckError is that a part which was written does not have what was written to it when it is read.
type CheckError struct {
	Path string
	// Have and Want are numbers of rows.
	Have, Want int64
	// Err is why it cannot be read; nil if it can.
	Err error
}

// Error says what is there.
func (e *CheckError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("parquet: %s cannot be read again: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("parquet: %s has %d rows and should have %d", e.Path, e.Have, e.Want)
}

// Unwrap returns Err.
func (e *CheckError) Unwrap() error { return e.Err }
