//go:build unix

package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// endings are the signals that ask the process to end.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM}

// hangupSignals are those by which files are read again, and that a terminal sends which is closed.
var hangupSignals = []os.Signal{syscall.SIGHUP}

// ignorePipes has a write to a pipe that nobody reads return an error, instead of ending the process.
func ignorePipes() { signal.Ignore(syscall.SIGPIPE) }

// isBrokenPipe reports whether an error is that nobody reads any more.
func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }

// wake has the process be continued, once a second until stop is closed.
func wake(stop <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGCONT) // oneself
		}
	}
}
