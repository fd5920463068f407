package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
)

// A world is what a command finds around it, so that a test can put another in its place.
type world struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// terminals are those of stdin, stdout and stderr that somebody sits at.
	stdinTerminal, stdoutTerminal, stderrTerminal bool
	// env looks up a variable of the environment.
	env func(string) string
	// now is the time that -10m is before.
	now func() time.Time
	// simNow is the clock of the simulator's events; nil is the time.
	simNow func() time.Time
	// home is the user's folder, and configDir that of configurations; "" if there is none.
	home, configDir string
	// hangups returns a channel of the signals by which files are read again, and what ends it.
	hangups func() (<-chan os.Signal, func())
}

// system is the process's own.
func system() *world {
	w := &world{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		stdinTerminal:  isTerminal(os.Stdin),
		stdoutTerminal: isTerminal(os.Stdout),
		stderrTerminal: isTerminal(os.Stderr),
		env:            os.Getenv, now: time.Now,
	}
	w.home, _ = os.UserHomeDir() // without one there are no files of the user's
	w.configDir, _ = os.UserConfigDir()
	return w
}

// input is standard input, whose readers do not wait for it beyond ctx, with whose cause they end. What is read when
// that ends is lost.
func (w *world) input(ctx context.Context) io.Reader { return &input{ctx, w.stdin} }

type input struct {
	ctx context.Context
	r   io.Reader
}

// Read implements [io.Reader].
func (i *input) Read(b []byte) (int, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text := make([]byte, len(b)) // of its own: it may be written to later than b may
		n, err := i.r.Read(text)
		done <- result{text[:n], err}
	}()
	select {
	case r := <-done:
		return copy(b, r.text), r.err
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	}
}

func isTerminal(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd())
}
