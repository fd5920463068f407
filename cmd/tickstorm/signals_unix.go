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

// hangup has do be called when the terminal says that it has gone, until the function that is returned is
// called; never where the process was started not to care, as by nohup.
func hangup(do func()) (stop func()) {
	if signal.Ignored(syscall.SIGHUP) {
		return func() {}
	}
	signals, over := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		select {
		case <-signals:
			do()
		case <-over:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(over)
	}
}

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
