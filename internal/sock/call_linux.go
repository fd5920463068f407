package sock

import (
	"encoding/binary"
	"reflect"
	"strconv"
	"syscall"
	"time"
)

// stampOf finds the kernel's timestamp in a control message, which on TCP comes alone. The
// form is the old one, whose numbers are of the machine's size.
func stampOf(control []byte) int64 {
	head := syscall.CmsgLen(0)
	if len(control) < head+2*wordSize {
		return 0
	}
	kind := control[head-8:] // the header ends with level and type
	if binary.NativeEndian.Uint32(kind) != syscall.SOL_SOCKET || binary.NativeEndian.Uint32(kind[4:]) != syscall.SO_TIMESTAMPNS {
		return 0
	}
	return word(control[head:])*int64(time.Second) + word(control[head+wordSize:])
}

const wordSize = strconv.IntSize / 8

func word(b []byte) int64 {
	if wordSize == 4 {
		return int64(int32(binary.NativeEndian.Uint32(b)))
	}
	return int64(binary.NativeEndian.Uint64(b))
}

// address returns where v is, for system calls that package syscall has no function
// for: reflect's form of it, since this module imports no unsafe. v must be on the heap,
// where nothing moves, and be kept alive until the call has returned.
func address[T any](v *T) uintptr { return reflect.ValueOf(v).Pointer() }
