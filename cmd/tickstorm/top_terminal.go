package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
)

// errHungUp: nobody sits at the terminal any more, whether a signal says so too or not.
var errHungUp = fmt.Errorf("%w: the terminal has gone", errTerminated)

// A keyboard is a terminal that is read from. It tells when there is nothing to be read any more, which
// bubbletea takes for a user who presses no key: a terminal that has hung up reads as one that has ended.
type keyboard struct {
	*os.File
	gone func(error)
}

func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.File.Read(p)
	if err != nil {
		k.gone(fmt.Errorf("%w: %w", errHungUp, err))
	}
	return n, err
}

// A display is a terminal that is written to. It tells when that fails, of which bubbletea says nothing,
// and nobody waits for ever for a terminal that takes nothing: once it is given up, every write fails.
type display struct {
	file *os.File
	gone func(error)

	once    sync.Once
	givenUp chan struct{}
}

func newDisplay(file *os.File, gone func(error)) *display {
	return &display{file: file, gone: gone, givenUp: make(chan struct{})}
}

// giveUp has a write that waits fail, and all later ones.
func (d *display) giveUp() { d.once.Do(func() { close(d.givenUp) }) }

var errGivenUp = errors.New("the terminal takes nothing")

// Write is called by one goroutine at a time.
func (d *display) Write(p []byte) (int, error) {
	select {
	case <-d.givenUp:
		return 0, errGivenUp
	default:
	}
	text := bytes.Clone(p) // the caller's again when it is given up
	written := make(chan error, 1)
	go func() {
		_, err := d.file.Write(text)
		written <- err
	}()
	select {
	case err := <-written:
		if err != nil {
			d.gone(fmt.Errorf("%w: %w", errHungUp, err))
			return 0, err
		}
		return len(p), nil
	case <-d.givenUp:
		return 0, errGivenUp
	}
}

// Fd and the other methods have bubbletea see that it is a terminal.
func (d *display) Fd() uintptr                { return d.file.Fd() }
func (d *display) Read(p []byte) (int, error) { return d.file.Read(p) }
func (d *display) Close() error               { return d.file.Close() }

// A suspension is the time for which a user has left the program for the shell. A program that is alone
// with its terminal, such as that of ssh -t, is not stopped by Ctrl-Z, and bubbletea would wait for ever
// for somebody to continue it: it does so itself. One that is stopped does nothing.
type suspension struct{ over chan struct{} }

func (s *suspension) begin() {
	if s.over == nil {
		s.over = make(chan struct{})
		go wake(s.over)
	}
}

func (s *suspension) end() {
	if s.over != nil {
		close(s.over)
		s.over = nil
	}
}
