// Package lock keeps what one process at a time may have from others.
package lock

import "errors"

// ErrInUse: another, of this process or another, has the file.
var ErrInUse = errors.New("in use by another")
