//go:build unix

package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// endings are the signals that ask the process to end.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM}

// ignorePipes has a write to a pipe that nobody reads return an error, instead of ending the process.
func ignorePipes() { signal.Ignore(syscall.SIGPIPE) }

// isBrokenPipe reports whether an error is that nobody reads any more.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// hangups returns a channel of the signals by which files are read again, and what ends it.
func hangups() (<-chan os.Signal, func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
