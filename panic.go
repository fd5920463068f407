package tickstorm

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic in a handler, or in another function of the user's that was
// called beside it. It ends [Conn.Run] and [Client.Run], with the socket closed, and is
// what they return; connecting again would be of no use. On a poller of package epoll the panic itself goes
// up through Poll or Run, and this is what the connection has ended with. Who feeds a [Session] or a
// [Parser] on a goroutine of his own gets the panic itself.
type PanicError struct {
	// Value is what panic was called with.
	Value any
	// Stack is where, as [debug.Stack] prints it.
	Stack []byte
}

// Error gives the value; the stack is for logs.
func (e *PanicError) Error() string { return fmt.Sprintf("a handler panicked: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// catch calls f and returns its panic, nil if it returned.
func catch(f func()) (p *PanicError) {
	returned := false
	defer func() {
		if !returned {
			p = recovered(recover())
		}
	}()
	f()
	returned = true
	return nil
}

// recovered makes an error of what recover returned: nil only where the goroutine ends
// without a panic, by [runtime.Goexit].
func recovered(v any) *PanicError {
	if v == nil {
		return nil
	}
	return &PanicError{Value: v, Stack: debug.Stack()}
}
