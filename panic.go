package tickstorm

import "fmt"

// PanicError is a panic of a handler, which ends Run. It is not worth a retry: the
// same event would likely bring it about again.
type PanicError struct {
	// Value is what was passed to panic.
	Value any
	// Stack is where, as [runtime/debug.Stack] prints it.
	Stack []byte
}

// Error says what the value was; the stack is in Stack.
func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// Unwrap returns Value if that is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
