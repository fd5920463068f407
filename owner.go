package tickstorm

import (
	"bytes"
	"runtime"
	"strconv"
)

// isGoroutine reports whether the calling goroutine has this number.
func isGoroutine(id uint64) bool { return id != 0 && id == goroutineID() }

// goroutineID returns the number that the runtime prints for the calling goroutine.
//
// Close and Subscribe must know whether they were called by a handler, on the
// goroutine that they would otherwise wait for: the first then returns at once, the
// second would wait for itself. There is no other way to tell a handler from another
// goroutine that calls while a handler runs. It takes about a microsecond and is never
// asked in the hot path; were the format ever to change, the number would be 0, which is
// nobody's, and such a call would end with its time limit instead.
func goroutineID() uint64 {
	var buf [64]byte
	b := buf[:runtime.Stack(buf[:], false)]
	b, ok := bytes.CutPrefix(b, []byte("goroutine "))
	if !ok {
		return 0
	}
	b, _, _ = bytes.Cut(b, []byte(" "))
	id, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return id
}
