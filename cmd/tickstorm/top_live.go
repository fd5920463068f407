package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

// firstLook is how long nothing is drawn, unless it is streaming before.
const firstLook = 500 * time.Millisecond

// farewell is how long a terminal has to take its last frame, once the program ends.
const farewell = 2 * time.Second

// live draws in the terminal until somebody ends it, or the terminal has gone.
func (c *topCmd) live(ctx context.Context, a *app, s shown, in, out *os.File, zones zones) error {
	if stream, ok := s.(*topStream); ok {
		stream.patient = true
		if a.stderrTerminal { // where it would be written over what is drawn
			quiet := *a
			quiet.log = slog.New(slog.DiscardHandler)
			stream.app = &quiet
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	to := newDisplay(out, cancel)
	model := top.NewModel(top.ModelConfig{Feed: s, Zone: zones, Interval: c.Interval, Query: c.query(0), ASCII: a.ascii()})
	var away suspension
	defer away.end()
	watch := func(_ tea.Model, msg tea.Msg) tea.Msg {
		switch msg.(type) {
		case tea.SuspendMsg:
			away.begin()
		case tea.ResumeMsg:
			away.end()
			if !isTerminal(in) || !isTerminal(out) { // bubbletea reads and writes no more
				cancel(errHungUp)
			}
		}
		return msg
	}
	program := tea.NewProgram(model, tea.WithInput(&keyboard{in, cancel}), tea.WithOutput(to), tea.WithFPS(top.FPS),
		tea.WithoutSignalHandler(), tea.WithEnvironment(os.Environ()), tea.WithFilter(watch))
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = s.run(ctx)
	}()
	select { // what fails at once is said without a screen, to which the terminal would still have to answer
	case <-ended:
		return err
	case <-s.ready():
	case <-time.After(firstLook):
	}
	over := make(chan struct{})
	go func() {
		<-ended
		late := time.AfterFunc(farewell, to.giveUp)
		defer late.Stop()
		program.Quit()
		<-over
	}()
	_, drawn := program.Run()
	close(over)
	cancel(nil)
	<-ended
	switch {
	case errors.Is(err, context.Canceled): // it was somebody here
		err = nil
	case err != nil:
		return err
	}
	if model.Interrupted() {
		return errInterrupted
	}
	return errors.Join(err, drawn)
}

// screen returns the terminals that one may draw in: those of stdin and stdout, unless they can do nothing
// but lines.
func (a *app) screen() (in, out *os.File, ok bool) {
	in, readable := a.stdin.(*os.File)
	out, writable := a.stdout.(*os.File)
	return in, out, readable && writable && a.stdinTerminal && a.stdoutTerminal && a.env("TERM") != "dumb"
}

// ascii reports whether the user's locale has no signs but those of ASCII.
func (a *app) ascii() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := a.env(name); locale != "" {
			locale = strings.ToUpper(strings.ReplaceAll(locale, "-", ""))
			return !strings.Contains(locale, "UTF8")
		}
	}
	return false
}
