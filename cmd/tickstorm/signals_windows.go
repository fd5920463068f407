package main

import (
	"errors"
	"os"
	"syscall"
)

// endings are the signals that ask the process to end; a console that is closed is a SIGTERM.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM}

// hangupSignals are none: there are no such signals.
var hangupSignals []os.Signal

// ignorePipes does nothing: there is no such signal.
func ignorePipes() {}

// errNoData is ERROR_NO_DATA: "The pipe is being closed."
const errNoData = syscall.Errno(232)

// isBrokenPipe reports whether an error is that nobody reads any more.
func isBrokenPipe(err error) bool {
	return errors.Is(err, syscall.ERROR_BROKEN_PIPE) || errors.Is(err, errNoData) || errors.Is(err, syscall.EPIPE)
}

// wake does nothing: nothing is suspended.
func wake(<-chan struct{}) {}
